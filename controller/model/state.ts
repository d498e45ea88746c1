/**
 * All records in memory, with their indexes.
 *
 * Operations (`attempt`) change the records in place, in one synchronous go, and everything is taken back before
 * anybody else runs: what remains is the list of changes. They are written to the store and only then applied
 * (`apply`). So readers never see what is not durable, an operation that throws half-way leaves nothing, a dry run is
 * an operation whose changes are dropped, and allocation inside of an operation simply sees what it has taken so far.
 */
import type { FactChange } from './facts.js';
import { Indexes } from './indexes.js';
import { addressSetFact, groupFact, policyFact, qosProfileFact, ruleFact } from './policy-facts.js';
import { endpointFact, hostFact, networkFact, sameFact, tenantFact } from './record-facts.js';
import { type Records, storeKey, type Table } from './records.js';

/** A record that changes; `after` absent: it goes. */
export interface RecordChange<T extends Table = Table> {
  readonly table: T;
  readonly id: string;
  readonly before: Records[T] | undefined;
  readonly after: Records[T] | undefined;
}

export const META_ID = 'cluster';

/**
 * How far one snapshot may move the generations. Agents may know larger ones than a store that was restored from a backup, but
 * one that makes them up must not use up what a number can hold.
 */
const LONGEST_STEP = 2 ** 32;

export class State {
  readonly indexes = new Indexes();
  readonly #tables: { readonly [T in Table]: Map<string, Records[T]> } = {
    tenant: new Map(),
    host: new Map(),
    network: new Map(),
    endpoint: new Map(),
    binding: new Map(),
    tier: new Map(),
    qosProfile: new Map(),
    addressSet: new Map(),
    policy: new Map(),
    rule: new Map(),
    group: new Map(),
    pending: new Map(),
    networkUse: new Map(),
    reservation: new Map(),
    meta: new Map(),
  };
  #journal: RecordChange[] | undefined;

  get<T extends Table>(table: T, id: string): Records[T] | undefined {
    return this.#tables[table].get(id);
  }

  has(table: Table, id: string): boolean {
    return this.#tables[table].has(id);
  }

  ids(table: Table): IterableIterator<string> {
    return this.#tables[table].keys();
  }

  entries<T extends Table>(table: T): IterableIterator<[string, Records[T]]> {
    return this.#tables[table].entries();
  }

  count(table: Table): number {
    return this.#tables[table].size;
  }

  /** Inside of an operation only. */
  set<T extends Table>(table: T, id: string, record: Records[T] | undefined): void {
    if (this.#journal === undefined) throw new Error('records change inside of an operation only');
    const before = this.#tables[table].get(id);
    if (before === undefined && record === undefined) return;
    this.#journal.push({ table, id, before, after: record } as RecordChange);
    this.#store(table, id, record);
  }

  /**
   * A generation for a new attachment: larger than every one before, in the whole cluster, and at least `atLeast`, within
   * reason. Inside of an operation only.
   */
  nextGeneration(atLeast = 0): number {
    const last = this.get('meta', META_ID)?.generation ?? 0;
    const generation = Math.max(last + 1, Math.min(atLeast, last + LONGEST_STEP));
    this.set('meta', META_ID, { generation });
    return generation;
  }

  /**
   * Runs operations one on top of the other and takes everything back. Each is told by `run`, and kept unless it
   * returns false; one that throws has to be caught by `run`.
   */
  attempt(operations: Iterable<{ run(): boolean }>): RecordChange[] {
    const journal: RecordChange[] = [];
    this.#journal = journal;
    try {
      for (const operation of operations) {
        const mark = journal.length;
        if (!operation.run()) this.#takeBack(journal, mark);
      }
      return netChanges(journal);
    } finally {
      this.#takeBack([...journal], 0);
      this.#journal = undefined;
    }
  }

  /** Applies durable changes and tells what they mean as facts: what goes first, owners before what they own. */
  apply(changes: readonly RecordChange[]): FactChange[] {
    const before = this.#affectedFacts(changes);
    this.#applyRecords(changes);
    const gone: FactChange[] = [];
    const come: FactChange[] = [];
    for (const [key, { kind, id, fact }] of before) {
      const now = this.#fact(kind, id);
      if (sameFact(fact, now)) continue;
      (now === undefined ? gone : come).push(factChange(kind, id, now));
      before.delete(key);
    }
    const order = (change: FactChange) => FACT_KINDS.indexOf(change.kind as FactKind);
    gone.sort((a, b) => order(b) - order(a));
    come.sort((a, b) => order(a) - order(b));
    return [...gone, ...come];
  }

  /** Every fact, owners before what they own, ordered by key. */
  facts(): FactChange[] {
    return FACT_KINDS.flatMap((kind) =>
      [...this.ids(kind)].sort().map((id) => factChange(kind, id, this.#fact(kind, id))),
    );
  }

  #takeBack(journal: RecordChange[], mark: number): void {
    while (journal.length > mark) {
      const { table, id, before } = journal.pop() as RecordChange;
      this.#store(table, id, before);
    }
  }

  #store<T extends Table>(table: T, id: string, record: Records[T] | undefined): void {
    const records = this.#tables[table];
    const before = records.get(id);
    if (before !== undefined) this.indexes.remove(table, id, before);
    if (record === undefined) records.delete(id);
    else {
      records.set(id, record);
      this.indexes.add(table, id, record);
    }
  }

  /** All that goes before all that comes: two endpoints may have exchanged their addresses. */
  #applyRecords(changes: readonly RecordChange[]): void {
    for (const { table, id } of changes) {
      const current = this.get(table, id);
      if (current !== undefined) this.indexes.remove(table, id, current);
      this.#tables[table].delete(id);
    }
    for (const { table, id, after } of changes) {
      if (after === undefined) continue;
      (this.#tables[table] as Map<string, Records[Table]>).set(id, after);
      this.indexes.add(table, id, after);
    }
  }

  #affectedFacts(
    changes: readonly RecordChange[],
  ): Map<string, { kind: FactKind; id: string; fact: unknown }> {
    const affected = new Map<string, { kind: FactKind; id: string; fact: unknown }>();
    const add = (kind: FactKind, id: string) => {
      affected.set(storeKey(kind, id), { kind, id, fact: this.#fact(kind, id) });
    };
    for (const { table, id } of changes) {
      if (table === 'binding') add('endpoint', id);
      else if (table === 'tier') {
        for (const policy of this.indexes.policy.users({ table, id }, 'policy')) add('policy', policy);
      } else if (isFactKind(table)) add(table, id);
    }
    return affected;
  }

  #fact(kind: FactKind, id: string): FactChange['value'] {
    const record = this.get(kind, id);
    return record && FACT_OF[kind](this, id, record as never);
  }
}

type FactKind = Extract<FactChange['kind'], Table>;
const FACT_KINDS: readonly FactKind[] = [
  'tenant',
  'host',
  'qosProfile',
  'network',
  'addressSet',
  'policy',
  'rule',
  'group',
  'endpoint',
];

const isFactKind = (table: Table): table is FactKind => (FACT_KINDS as readonly Table[]).includes(table);

const FACT_OF: {
  readonly [K in FactKind]: (state: State, id: string, record: Records[K]) => FactChange['value'];
} = {
  tenant: (_state, _id, record) => tenantFact(record),
  host: (_state, _id, record) => hostFact(record),
  qosProfile: (_state, _id, record) => qosProfileFact(record),
  network: (_state, _id, record) => networkFact(record),
  addressSet: (_state, _id, record) => addressSetFact(record),
  policy: (state, _id, record) =>
    policyFact(record, record.spec.tier === undefined ? undefined : state.get('tier', record.spec.tier)),
  rule: (_state, _id, record) => ruleFact(record),
  group: (_state, _id, record) => groupFact(record),
  endpoint: (state, id, record) => endpointFact(record, state.get('binding', id)),
};

const factChange = (kind: FactKind, key: string, value: FactChange['value']): FactChange =>
  (value === undefined ? { kind, key } : { kind, key, value }) as FactChange;

/** One change for each record: the first `before` and the last `after`; records that end as they began are left out. */
export function netChanges(changes: readonly RecordChange[]): RecordChange[] {
  const net = new Map<string, RecordChange>();
  for (const change of changes) {
    const key = storeKey(change.table, change.id);
    const first = net.get(key);
    net.set(key, first === undefined ? change : { ...change, before: first.before });
  }
  return [...net.values()].filter(({ before, after }) => !sameFact(before, after));
}
