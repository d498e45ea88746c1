/** What the rest of the controller sees of controller/trace. */
export { TraceError } from './error.js';
export type * from './report.js';
export { trace, type TraceEnvironment } from './tracer.js';
