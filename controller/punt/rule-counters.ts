/** What rules and defaults have decided: reads the verdict entries of every switch and adds them up. */
import { T } from '../../apps/pipeline.js';
import { policy } from '../../apps/policy/index.js';
import type { Decider } from '../../apps/policy/punt.js';
import { CtState, F, type FlowStats } from '../../ofproto/index.js';
import type { SwitchSession } from '../channel/index.js';
import { COOKIE_MARKER, cookieLayout } from '../datapath/cookie.js';
import type { DatapathController } from '../datapath/index.js';
import { tenantOf } from './causes.js';
import { type EntrySelection, readEntries, toNumber } from './counters.js';
import { deciderOf } from './decider.js';
import type { Names } from './names.js';
import { fieldOf } from './registers.js';
import { type Reading, RuleBook } from './rule-book.js';
import type { RuleCounters } from './types.js';

const field = cookieLayout.fields;
const bits = ({ offset, bits: width }: { offset: number; bits: number }, value: number): bigint =>
  BigInt(value % 2 ** width) << BigInt(offset);

/** Entries of the app, whatever their rule and object. */
const POLICY_COOKIE = bits(field.marker, COOKIE_MARKER) | bits(field.app, policy.id);
const POLICY_MASK = bits(field.marker, 0xff) | bits(field.app, 0xff);
const SELECTIONS: readonly EntrySelection[] = [T.egress_verdict, T.ingress_verdict].map(({ id }) => ({
  table: id,
  cookie: POLICY_COOKIE,
  cookieMask: POLICY_MASK,
}));

export class RuleCounterReader {
  readonly #book = new RuleBook();
  /** What each number meant when it was counted. */
  readonly #meanings = new Map<string, string>();

  constructor(
    private readonly datapaths: Pick<DatapathController, 'ownerOf'>,
    private readonly names: Names,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Reads one switch; the deciders it holds. Readings of one switch must not overlap. @throws SwitchError */
  async read(session: Pick<SwitchSession, 'datapathId' | 'multipart' | 'xid'>): Promise<readonly Decider[]> {
    const entries = await readEntries(session, SELECTIONS);
    const readings = entries.flatMap((entry) => this.#reading(entry) ?? []);
    this.#forgetOthers(readings);
    this.#book.record(session.datapathId, readings, this.now());
    return [...new Map(readings.map(({ decider }) => [keyOf(decider), decider])).values()];
  }

  /** Sums of every rule there is, and of the defaults that have been read. @param holders those held by each switch that answered */
  counters(holders: readonly Decider[]): RuleCounters[] {
    const switches = new Map<string, number>();
    for (const decider of holders) switches.set(keyOf(decider), (switches.get(keyOf(decider)) ?? 0) + 1);
    const rules: Decider[] = [...this.names.rules].map(({ number }) => ({ kind: 'rule', number }));
    const defaults = this.#book.deciders.filter(({ kind }) => kind !== 'rule');
    return [...rules, ...defaults]
      .flatMap((decider): RuleCounters[] => {
        const described = this.#describe(decider);
        if (described === undefined) return [];
        return [{ ...described, ...this.#book.sums(decider), switches: switches.get(keyOf(decider)) ?? 0 }];
      })
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  #reading({
    cookie,
    tableId,
    match,
    packetCount,
    byteCount,
    durationSec,
    durationNsec,
  }: FlowStats): Reading | undefined {
    const owner = this.datapaths.ownerOf(cookie);
    const decider = owner === undefined ? undefined : deciderOf(owner);
    if (decider === undefined) return undefined;
    return {
      decider,
      table: tableId,
      isFirst: ((fieldOf(match, F.ct_state) ?? 0) & CtState.NEW) !== 0,
      packets: toNumber(packetCount),
      bytes: toNumber(byteCount),
      age: durationSec * 1000 + durationNsec / 1e6,
    };
  }

  /** A number that means something else now begins at zero. */
  #forgetOthers(readings: readonly Reading[]): void {
    for (const { decider } of readings) {
      const key = keyOf(decider);
      const name = this.#describe(decider)?.name ?? '';
      const before = this.#meanings.get(key);
      if (before !== undefined && before !== name) this.#book.forget(decider);
      this.#meanings.set(key, name);
    }
  }

  #describe({
    kind,
    number,
  }: Decider): Pick<RuleCounters, 'name' | 'kind' | 'tenant' | 'direction'> | undefined {
    switch (kind) {
      case 'rule': {
        const rule = this.names.rule(number);
        if (rule === undefined) return undefined;
        return { name: rule.id, kind: 'rule', tenant: tenantOf(rule.id), direction: rule.direction };
      }
      case 'policy': {
        const found = this.names.policy(number);
        return found && { name: found.id, kind: 'policy-default', tenant: found.tenant };
      }
      case 'tenant': {
        const found = this.names.tenant(number);
        return found && { name: found.name, kind: 'tenant-default', tenant: found.name };
      }
    }
  }
}

function keyOf({ kind, number }: Decider): string {
  return `${kind} ${number}`;
}
