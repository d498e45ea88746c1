/** OpenFlow sessions with switches: the only entry of controller/channel. See README.md. */
export { describeMessage, SwitchError, type SwitchErrorCode } from './errors.js';
export { type ChannelLogger, type LogFields, silentLogger } from './logger.js';
export { Numbering } from './numbering.js';
export type { ChannelOptions, RoleChoice } from './options.js';
export type * from './session.js';
export type { Rate } from './token-bucket.js';
export type * from './transaction.js';
export { ChannelListener, type ListenerCounters } from './listener.js';
export { TurnEncoder } from './turn-encoder.js';
