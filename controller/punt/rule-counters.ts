/** What rules and defaults have decided: reads the entries that decide from every switch and adds them up. */
import { CtState, F, type FlowStats, formatMatch } from '../../ofproto/index.js';
import type { SwitchSession } from '../channel/index.js';
import type { DatapathController, DesiredEntry } from '../datapath/index.js';
import { tenantOf } from './causes.js';
import { readEntries, Selections, toNumber } from './counters.js';
import { countedBy, DECIDING_RULES } from './decider.js';
import type { Names } from './names.js';
import { fieldOf } from './registers.js';
import { type DesiredScopes, ScopeMemo } from './scope-memo.js';
import { type Counted, countedKey, type Reading, RuleBook } from './rule-book.js';
import type { RuleCounters } from './types.js';

type Described = Pick<RuleCounters, 'name' | 'kind' | 'tenant' | 'direction'>;

export class RuleCounterReader {
  readonly #book = new RuleBook();
  /** What each number meant when it was counted. */
  readonly #meanings = new Map<string, string>();

  readonly #deciding: ScopeMemo<Selections>;

  constructor(
    private readonly datapaths: DesiredScopes & Pick<DatapathController, 'ownerOf'>,
    private readonly names: Names,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#deciding = new ScopeMemo(datapaths, (entries) => this.#find(entries));
  }

  /** Reads one switch; what it holds. Readings of one switch must not overlap. @throws SwitchError */
  async read(session: Pick<SwitchSession, 'datapathId' | 'multipart' | 'xid'>): Promise<readonly Counted[]> {
    const entries = await readEntries(session, Selections.union(this.#deciding.of(session.datapathId)));
    const readings = entries.flatMap((entry) => this.#reading(entry) ?? []);
    this.#forgetOthers(readings);
    this.#book.record(session.datapathId, readings, this.now());
    return [...new Map(readings.map(({ counted }) => [countedKey(counted), counted])).values()];
  }

  /** Sums of every rule there is, and of the defaults that have been read. @param held by each switch that answered */
  counters(held: readonly Counted[]): RuleCounters[] {
    const switches = new Map<string, number>();
    for (const counted of held) {
      const key = countedKey(counted);
      switches.set(key, (switches.get(key) ?? 0) + 1);
    }
    const rules = [...this.names.rules].map(
      ({ number, direction }): Counted => ({ kind: 'rule', number, direction }),
    );
    const defaults = this.#book.counted.filter(({ kind }) => kind !== 'rule');
    return [...rules, ...defaults]
      .flatMap((counted): RuleCounters[] => {
        const described = this.#describe(counted);
        if (described === undefined) return [];
        const count = switches.get(countedKey(counted)) ?? 0;
        return [{ ...described, ...this.#book.sums(counted), switches: count }];
      })
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  /** Tables of policy hold many entries that do not decide; asked for are those that do. */
  #find(entries: Iterable<DesiredEntry>): Selections {
    const selections = new Selections();
    for (const entry of entries) {
      if (entry.kind !== 'flow' || selections.has(entry)) continue;
      const rule = this.datapaths.ownerOf(entry.cookie)?.rule;
      if (rule !== undefined && DECIDING_RULES.has(rule)) selections.add(entry);
    }
    return selections;
  }

  #reading(entry: FlowStats): Reading | undefined {
    const { cookie, tableId, priority, match, packetCount, byteCount, durationSec, durationNsec } = entry;
    const owner = this.datapaths.ownerOf(cookie);
    const counted = owner && countedBy(owner, tableId);
    if (counted === undefined) return undefined;
    return {
      counted,
      entry: `${tableId} ${priority} ${formatMatch(match)}`,
      isFirst: ((fieldOf(match, F.ct_state) ?? 0) & CtState.NEW) !== 0,
      packets: toNumber(packetCount),
      bytes: toNumber(byteCount),
      age: durationSec * 1000 + durationNsec / 1e6,
    };
  }

  /** A number that means something else now begins at zero. */
  #forgetOthers(readings: readonly Reading[]): void {
    for (const { counted } of readings) {
      const key = countedKey(counted);
      const name = this.#describe(counted)?.name ?? '';
      const before = this.#meanings.get(key);
      if (before !== undefined && before !== name) this.#book.forget(counted);
      this.#meanings.set(key, name);
    }
  }

  #describe({ kind, number, direction }: Counted): Described | undefined {
    switch (kind) {
      case 'rule': {
        const rule = this.names.rule(number);
        return rule && { name: rule.id, kind: 'rule', tenant: tenantOf(rule.id), direction };
      }
      case 'policy': {
        const found = this.names.policy(number);
        return found && { name: found.id, kind: 'policy-default', tenant: found.tenant, direction };
      }
      case 'tenant': {
        const found = this.names.tenant(number);
        return found && { name: found.name, kind: 'tenant-default', tenant: found.name, direction };
      }
    }
  }
}
