/**
 * Forgets stations that send nothing any more. Whether they do only their switches know: the counters of their entries are read, one
 * switch after the other, so that the readings are spread over the interval.
 */
import { type FlowStats, flowStatsRequest } from '../../ofproto/index.js';
import { cookieLayout } from '../datapath/cookie.js';
import type { DatapathId } from '../model/facts.js';
import type { Logger } from '../log.js';
import type { Clock } from './clock.js';
import type { Stations } from './stations.js';
import type { FabricSession } from './switches.js';

export interface AgeingOptions {
  readonly stations: Stations;
  readonly clock: Clock;
  readonly intervalMs: number;
  /** The table whose entries carry the number of their station as `object` of their cookie. */
  readonly stationTable: number;
  /** Switches that hold their entries. */
  readonly sessions: () => Iterable<FabricSession>;
  readonly logger: Pick<Logger, 'debug'>;
}

export class Ageing {
  readonly #options: AgeingOptions;
  #cancel: () => void;
  #closed = false;

  constructor(options: AgeingOptions) {
    this.#options = options;
    this.#cancel = this.#later();
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #later(): () => void {
    const { clock, intervalMs } = this.#options;
    return clock.after(intervalMs, () => {
      void this.run().finally(() => {
        if (!this.#closed) this.#cancel = this.#later();
      });
    });
  }

  /** Reads all switches once, and forgets whom nobody has heard of. */
  async run(): Promise<void> {
    const { sessions, logger } = this.#options;
    for (const session of sessions()) {
      if (this.#closed) return;
      if (!session.open) continue;
      try {
        await this.#read(session);
      } catch (err) {
        const { datapathId } = session;
        logger.debug({ event: 'fabric.ageing', datapathId, err }, 'counters of stations could not be read');
      }
    }
  }

  async #read(session: FabricSession): Promise<void> {
    const { stationTable, stations } = this.#options;
    const { datapathId } = session;
    const reply = await session.multipart({
      type: 'multipart_request',
      more: false,
      xid: session.xid(),
      multipartType: 'flow',
      body: flowStatsRequest({ tableId: stationTable }),
    });
    for (const entry of reply.body) this.#count(datapathId, entry);
    for (const station of stations.all()) if (station.datapathId === datapathId) stations.age(station);
  }

  /** An entry that is still there of a station that has moved on says nothing. */
  #count(datapathId: DatapathId, { cookie, packetCount }: FlowStats): void {
    const { stations } = this.#options;
    const station = stations.byNumber(cookieLayout.decode(cookie).object);
    if (station?.datapathId === datapathId) stations.counted(station, Number(packetCount));
  }
}
