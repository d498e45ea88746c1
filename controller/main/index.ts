/** The running controller, put together. */
export { openController } from './open.js';
export type * from './types.js';
