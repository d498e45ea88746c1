/** Fabric switches: how they are linked, and where stations are. See README.md. */
import { PortReason, type PortStatus } from '../../ofproto/index.js';
import type { PacketInMessage } from '../channel/index.js';
import type { FactInputs } from '../datapath/index.js';
import type { Logger } from '../log.js';
import type { DatapathId } from '../model/facts.js';
import { type Clock, systemClock } from './clock.js';
import { Probes } from './probes.js';
import { DEFAULT_SETTINGS, type FabricSettings } from './settings.js';
import { type FabricSession, type PortChange, Switches } from './switches.js';
import type { FabricEvent, FabricReport } from './types.js';

export type { Clock } from './clock.js';
export type { FabricSettings } from './settings.js';
export type { FabricSession } from './switches.js';
export type * from './types.js';

export interface FabricServiceOptions {
  /** Of the fabric's own tables. */
  readonly facts: Pick<FactInputs, 'hosts' | 'ports' | 'fabricPorts' | 'links' | 'stations'>;
  /** Facts have changed: settle at the end of this turn of the event loop. */
  readonly schedule: () => void;
  /**
   * Resolves when the switch holds what was derived for it, the entry that sends probes to the controller above all: before, a probe
   * that is not heard proves nothing. `DatapathController.waitForSync`.
   */
  readonly waitForSync: (datapathId: DatapathId, options: { readonly signal: AbortSignal }) => Promise<void>;
  readonly logger: Logger;
  readonly onEvent?: (event: FabricEvent) => void;
  readonly settings?: Partial<FabricSettings>;
  readonly clock?: Clock;
}

/**
 * Everything that is found out about the fabric. Whoever wires it hands on what the channel tells about switches of the fabric, and only
 * about those.
 */
export class FabricService {
  readonly #options: FabricServiceOptions;
  readonly #settings: FabricSettings;
  readonly #clock: Clock;
  readonly #switches: Switches;
  readonly #probes: Probes;

  constructor(options: FabricServiceOptions) {
    this.#options = options;
    this.#settings = { ...DEFAULT_SETTINGS, ...options.settings };
    this.#clock = options.clock ?? systemClock;
    this.#switches = new Switches(options.facts);
    this.#probes = new Probes(this.#settings.probeLifeMs);
  }

  /** Whether it is a switch of the fabric, connected or away. */
  has(datapathId: DatapathId): boolean {
    return this.#switches.get(datapathId) !== undefined;
  }

  /** A switch has connected. Writes its facts; settle, and hand the session to the DatapathController after it. */
  sessionUp(session: FabricSession): void {
    const changes = this.#switches.up(session);
    if (changes === undefined) {
      const { datapathId } = session;
      this.#options.logger.error(
        { event: 'fabric.full', datapathId },
        `switch ${datapathId} is left alone: there are 65,535 fabric switches already`,
      );
      return;
    }
    for (const change of changes) this.#portChanged(session.datapathId, change);
    this.#options.schedule();
  }

  sessionDown(session: FabricSession): void {
    this.#switches.down(session);
  }

  portStatus(session: FabricSession, { reason, port }: PortStatus): void {
    const change = this.#switches.portChanged(session.datapathId, port, reason === PortReason.DELETE);
    if (change === undefined) return;
    this.#portChanged(session.datapathId, change);
    this.#options.schedule();
  }

  /** A probe, or the frame of a station that its switch does not know there. */
  packetIn(_session: FabricSession, _message: PacketInMessage): void {
    this.#clock.now();
  }

  /** An agent claims it: it is no switch of the fabric any more, and its facts are gone. */
  handOver(datapathId: DatapathId): void {
    this.#switches.forget(datapathId);
    this.#options.schedule();
  }

  report(): FabricReport {
    return {
      switches: [...this.#switches.all()].map(({ datapathId, number, ports, session }) => ({
        datapathId,
        number,
        connected: session !== undefined,
        ports: ports.size,
        links: 0,
        stations: 0,
      })),
      ports: [],
      links: [],
      stations: [],
      probes: { ...this.#probes.counters },
      learning: {
        learned: 0,
        moved: 0,
        aged: 0,
        reinjected: 0,
        invalidSource: 0,
        overPortLimit: 0,
        overTotalLimit: 0,
        flapping: 0,
        notEdge: 0,
      },
    };
  }

  close(): void {
    for (const { datapathId } of this.#switches.all()) this.#switches.forget(datapathId);
  }

  #portChanged(_datapathId: DatapathId, _change: PortChange): void {}
}
