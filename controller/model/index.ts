/** What the rest of the controller may use of the model. */
export { Model } from './model.js';
export type * from './facts.js';
export * from './intents.js';
export { DEFAULTS } from './pools.js';
export * from './types.js';
