/** Answers "why was it dropped?" afterwards: the counters of every entry that drops, from the switches, with their causes. */
import { T } from '../../apps/pipeline.js';
import type { FlowStats, Instruction, MeterStats } from '../../ofproto/index.js';
import type { SwitchSession } from '../channel/index.js';
import type { DatapathController, DesiredEntry, EntryOwner } from '../datapath/index.js';
import type { Pipeline } from '../datapath/pipeline.js';
import type { DatapathId } from '../model/facts.js';
import { type Cause, causeOf, causeOfMeter } from './causes.js';
import { readEntries, readMeters, Selections, toNumber } from './counters.js';
import type { Names } from './names.js';
import { type DesiredScopes, ScopeMemo } from './scope-memo.js';
import type { DropCounter } from './types.js';

/** Where packets may be dropped. */
interface Places {
  readonly entries: Selections;
  /** By number of the meter. */
  readonly meters: Map<number, MeterUse>;
}

/** The entries that send packets through a meter. */
interface MeterUse {
  /** The last one with such an entry: there the packets pass that others let by. */
  table: number;
  readonly owners: EntryOwner[];
}

export class DropReader {
  readonly #places: ScopeMemo<Places>;

  constructor(
    private readonly datapaths: DesiredScopes & Pick<DatapathController, 'ownerOf'>,
    private readonly pipeline: Pipeline,
    private readonly names: Names,
  ) {
    this.#places = new ScopeMemo(datapaths, (entries) => this.#find(entries));
  }

  /** Of one switch. @throws SwitchError */
  async read(session: Pick<SwitchSession, 'datapathId' | 'multipart' | 'xid'>): Promise<DropCounter[]> {
    const { datapathId } = session;
    const places = this.#places.of(datapathId);
    // A meter is in the scope of its host, with the entries that use it.
    const meters = new Map(places.flatMap((place) => [...place.meters]));
    const [entries, meterStats] = await Promise.all([
      readEntries(session, Selections.union(places.map((place) => place.entries))),
      meters.size === 0 ? [] : readMeters(session),
    ]);
    return [
      ...entries.flatMap((entry) => this.#entry(datapathId, entry) ?? []),
      ...meterStats.flatMap((stats) => this.#meter(datapathId, meters, stats) ?? []),
    ];
  }

  /** A switch holds perhaps a hundred thousand entries; asked for are those of rules that drop. */
  #find(desired: Iterable<DesiredEntry>): Places {
    const entries = new Selections();
    const meters = new Map<number, MeterUse>();
    for (const entry of desired) {
      if (entry.kind !== 'flow') continue;
      const { table, instructions } = entry;
      for (const instruction of instructions) {
        if (instruction.type !== 'meter') continue;
        const use = meters.get(instruction.meterId) ?? { table, owners: [] };
        meters.set(instruction.meterId, use);
        use.table = Math.max(use.table, table);
        const owner = this.datapaths.ownerOf(entry.cookie);
        if (owner !== undefined) use.owners.push(owner);
      }
      if (this.#drops(instructions)) entries.add(entry);
    }
    return { entries, meters };
  }

  /** Packets end here, but for copies to the controller; or they go to where forged ones end. */
  #drops(instructions: readonly Instruction[]): boolean {
    return instructions.every((instruction) => {
      switch (instruction.type) {
        case 'apply_actions':
          return instruction.actions.every(({ type }) => type === 'controller2' || type === 'reg_load');
        case 'goto_table':
          return instruction.table === T.spoofed.id;
        default:
          return false;
      }
    });
  }

  #entry(
    datapathId: DatapathId,
    { cookie, tableId, instructions, packetCount, byteCount }: FlowStats,
  ): DropCounter | undefined {
    const owner = this.datapaths.ownerOf(cookie);
    if (owner === undefined || !this.#drops(instructions)) return undefined;
    const cause = causeOf(owner, tableId, this.names);
    return cause && this.#counter(datapathId, tableId, cause, packetCount, byteCount);
  }

  #meter(
    datapathId: DatapathId,
    meters: ReadonlyMap<number, MeterUse>,
    { meterId, bands }: MeterStats,
  ): DropCounter | undefined {
    const use = meters.get(meterId);
    const cause = use && causeOfMeter(use.table, use.owners, this.names);
    if (use === undefined || cause === undefined) return undefined;
    const total = (of: 'packetBandCount' | 'byteBandCount'): bigint =>
      bands.reduce((sum, band) => sum + band[of], 0n);
    return this.#counter(datapathId, use.table, cause, total('packetBandCount'), total('byteBandCount'));
  }

  #counter(datapathId: DatapathId, table: number, cause: Cause, packets: bigint, bytes: bigint): DropCounter {
    const host = this.names.host(datapathId);
    return {
      ...cause,
      datapathId,
      ...(host === undefined ? {} : { host }),
      table: this.pipeline.order[table]?.name ?? String(table),
      packets: toNumber(packets),
      bytes: toNumber(bytes),
    };
  }
}
