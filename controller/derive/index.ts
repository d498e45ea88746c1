/** Public surface of the derivation engine; `engine.ts` opens with its design. */
export type { Change, Collection, Input } from './collection.js';
export type { Conflict, Context, Derived, DeriveOptions, Failure } from './derivation.js';
export { DeriveError, Engine, type Settlement } from './engine.js';
export { equal } from './equal.js';
export type { Index } from './lookup.js';
