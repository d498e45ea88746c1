/**
 * rpc: JSON-RPC 2.0 between symmetric peers, the hub and the methods both ends share. Imports nothing of ours; what the
 * methods mean is decided in controller/hub and agent. docs/hub-protocol.md is the protocol for people.
 */
export * from './client.js';
export * from './clock.js';
export { ErrorCode, type ErrorData, RpcError } from './error.js';
export * from './hub.js';
export * from './methods.js';
export * from './methods-tables.js';
export * from './methods-networks.js';
export * from './methods-names.js';
export * from './peer.js';
export * from './router.js';
export * from './transports.js';
export * from './types.js';
