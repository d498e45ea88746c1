/** What the rest of the controller sees of controller/trace. */
export { TraceError } from './error.js';
export { fabricCauseOf } from './fabric/causes.js';
export type * from './fabric/report.js';
export { type FabricTraceEnvironment, traceFabric } from './fabric/tracer.js';
export type * from './report.js';
export { trace, type TraceEnvironment } from './tracer.js';
