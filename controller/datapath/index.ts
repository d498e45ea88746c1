/** Desired tables and the switches that are kept in line with them: what the rest of the controller sees of controller/datapath. */
export type { App, AppDeclaration, EntryContext, Facts, RuleName } from './app.js';
export { DatapathController, type DatapathControllerOptions, type ScopeEntries } from './controller.js';
export type { DesiredEntry } from './entry.js';
export { describePipeline } from './describe.js';
export { DesiredTables, type FactInputs } from './desired.js';
export { type EntryOwner, ownerText } from './explain.js';
export type { Timer } from './environment.js';
export type { ObjectKind } from './object-names.js';
export type * from './status.js';
export type { Acknowledgement, Turn } from './turn.js';
export { findDanglingReferences, findOverlaps } from './verify.js';
