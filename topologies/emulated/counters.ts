/** What an emulated switch has seen since it was made, over all its connections. */
export interface EmulatedCounters {
  connections: number;
  messages: number;
  bytes: number;
  flowMods: number;
  groupMods: number;
  meterMods: number;
  packetOuts: number;
  barriers: number;
  bundlesCommitted: number;
  bundlesDiscarded: number;
  bundlesFailed: number;
  errorsSent: number;
}

export const newCounters = (): EmulatedCounters => ({
  connections: 0,
  messages: 0,
  bytes: 0,
  flowMods: 0,
  groupMods: 0,
  meterMods: 0,
  packetOuts: 0,
  barriers: 0,
  bundlesCommitted: 0,
  bundlesDiscarded: 0,
  bundlesFailed: 0,
  errorsSent: 0,
});
