/** The per-host agent; see README.md. */
export { startAgent, type Agent } from './agent.js';
export { AgentError } from './error.js';
export * from './local/methods.js';
export type { Logger } from './logger.js';
export type { AgentOptions } from './options.js';
