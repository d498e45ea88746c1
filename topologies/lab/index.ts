/** The multi-host lab in network namespaces; see README.md. */
export { LabEndpoint, type EndpointOptions } from './endpoint.js';
export { LabHost } from './host.js';
export { Lab, type LabHostOptions, type LabOptions, type NeighbourOptions, type Probe } from './lab.js';
export { Capture, LabNamespace, type PingOptions, type PingResult } from './namespace.js';
export { parsePcap, type CapturedFrame } from './pcap.js';
export { Daemon, exec, LabError, run, until, type ExecOptions, type ExecResult } from './process.js';
export { reapAbandonedLabs } from './reaper.js';
