/** Constants of discovery and learning, with their reasons. Tests shorten them; times are milliseconds. */
export interface FabricSettings {
  /** Between probes of a port whose role is known. Default 1,000. */
  readonly probeIntervalMs: number;
  /** Between the two probes of a port that is not known yet, and from the second one to the decision that nobody answers. Default 150. */
  readonly firstProbesMs: number;
  /** Probes in a row that are not heard any more until a neighbour counts as lost. Default 3. */
  readonly missedProbes: number;
  /**
   * How long a port whose neighbour went silent, without the port going down, stays closed before it can be an edge port. Whoever
   * lost the probes only would forward on. Default 10,000.
   */
  readonly silentMs: number;
  /** Probes older than this are refused. More than a probe takes through two busy connections, less than a replay is useful for. Default 3,000. */
  readonly probeLifeMs: number;
  /** Frames with probes per second, over all switches: with more ports than it allows for, the interval grows. Default 10,000. */
  readonly probesPerSecond: number;
  /**
   * How long a switch that was connected when the process before this one ended counts as if it still were. More than the eight
   * seconds after which Open vSwitch tries again at the latest. Default 15,000.
   */
  readonly returnMs: number;
  /** A switch that stays away this long and has no link left is forgotten, with its stations. Default ten minutes. */
  readonly forgetSwitchMs: number;
  /** Between readings of the packet counters of station entries. Default 60,000. */
  readonly ageingIntervalMs: number;
  /** A station whose entry counted no packet for this long is forgotten: five minutes, as IEEE 802.1Q clause 8.8.3 recommends. */
  readonly stationIdleMs: number;
  /** Stations at one port. Default 1,024. */
  readonly stationsPerPort: number;
  /** Stations of the whole fabric. Default 65,536. */
  readonly stations: number;
  /** Moves of one station within `flapWindowMs` that are followed. Default 8. */
  readonly flapMoves: number;
  /** Default 10,000. */
  readonly flapWindowMs: number;
}

export const DEFAULT_SETTINGS: FabricSettings = {
  probeIntervalMs: 1_000,
  firstProbesMs: 150,
  missedProbes: 3,
  silentMs: 10_000,
  probeLifeMs: 3_000,
  probesPerSecond: 10_000,
  returnMs: 15_000,
  forgetSwitchMs: 600_000,
  ageingIntervalMs: 60_000,
  stationIdleMs: 300_000,
  stationsPerPort: 1_024,
  stations: 65_536,
  flapMoves: 8,
  flapWindowMs: 10_000,
};
