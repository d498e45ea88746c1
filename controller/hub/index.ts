/** The controller's half of the hub: agents, leases, snapshots, attaches. The wire is rpc/; docs/hub-protocol.md tells it to people. */
export { AgentHub } from './agent-hub.js';
export { HubError } from './errors.js';
export type * from './types.js';
