/** Answers "why was it dropped?" afterwards: the counters of every entry that drops, from the switches, with their causes. */
import { T } from '../../apps/pipeline.js';
import type { FlowStats, Instruction, MeterStats } from '../../ofproto/index.js';
import type { SwitchSession } from '../channel/index.js';
import type { DatapathController, EntryOwner } from '../datapath/index.js';
import type { Pipeline } from '../datapath/pipeline.js';
import type { DatapathId } from '../model/facts.js';
import { type Cause, causeOf, causeOfMeter } from './causes.js';
import { type EntrySelection, readEntries, readMeters, RULE_MASK, toNumber } from './counters.js';
import type { Names } from './names.js';
import type { DropCounter } from './types.js';

/** Where on a switch packets may be dropped. */
interface Places {
  readonly selections: readonly EntrySelection[];
  /** By number of the meter. */
  readonly meters: ReadonlyMap<number, MeterUse>;
}

/** The entries that send packets through a meter. */
interface MeterUse {
  /** The last one with such an entry: there the packets pass that others let by. */
  table: number;
  readonly owners: EntryOwner[];
}

export class DropReader {
  constructor(
    private readonly datapaths: Pick<DatapathController, 'desired' | 'ownerOf'>,
    private readonly pipeline: Pipeline,
    private readonly names: Names,
  ) {}

  /** Of one switch. @throws SwitchError */
  async read(session: Pick<SwitchSession, 'datapathId' | 'multipart' | 'xid'>): Promise<DropCounter[]> {
    const { datapathId } = session;
    const { selections, meters } = this.#places(datapathId);
    const [entries, meterStats] = await Promise.all([
      readEntries(session, selections),
      meters.size === 0 ? [] : readMeters(session),
    ]);
    return [
      ...entries.flatMap((entry) => this.#entry(datapathId, entry) ?? []),
      ...meterStats.flatMap((stats) => this.#meter(datapathId, meters, stats) ?? []),
    ];
  }

  /** The switch holds perhaps a hundred thousand entries; asked for are those of rules that drop. */
  #places(datapathId: DatapathId): Places {
    const selections = new Map<string, EntrySelection>();
    const meters = new Map<number, MeterUse>();
    for (const entry of this.datapaths.desired(datapathId)) {
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
      if (!this.#drops(instructions)) continue;
      const cookie = entry.cookie & RULE_MASK;
      const key = `${table} ${cookie}`;
      if (!selections.has(key)) selections.set(key, { table, cookie, cookieMask: RULE_MASK });
    }
    return { selections: [...selections.values()], meters };
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
    meters: Places['meters'],
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
