/** OVSDB client (RFC 7047): see client.ts. Knows nothing of Weft's bridges; drivers/ovs.ts does. */
export { OvsdbClient, type ClientOptions, type ClientState } from './client.js';
export { OvsdbConnection, parseRemote, type ConnectionOptions } from './connection.js';
export { OvsdbError } from './error.js';
export { Replica, type RowChange } from './replica.js';
export * from './schema.js';
export { JsonSplitter } from './splitter.js';
export * from './transaction.js';
