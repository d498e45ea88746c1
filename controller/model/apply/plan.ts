/** One request to change the intents, while it is worked out inside of an operation. */
import { canonical } from '../canonical.js';
import type { IntentObject, Kind } from '../intents.js';
import { idOf, KINDS } from '../intents.js';
import { type TenantPools, tenantPools } from '../pools.js';
import { didYouMean, nameOf, Problems } from '../problems.js';
import type { Records, Table } from '../records.js';
import type { State } from '../state.js';
import type { Change, ModelDefaults } from '../types.js';
import { changeOf } from './diff.js';
import type { CheckedRule } from './rule-check.js';

export const TABLE_OF_KIND = {
  Tenant: 'tenant',
  Host: 'host',
  Network: 'network',
  Endpoint: 'endpoint',
  HostBinding: 'binding',
  Tier: 'tier',
  QosProfile: 'qosProfile',
  AddressSet: 'addressSet',
  Policy: 'policy',
  Rule: 'rule',
  Group: 'group',
} as const satisfies Record<Kind, Table>;

const MAX_SUGGESTIONS = 20;

type Objects = { readonly [K in Kind]: ReadonlyMap<string, Extract<IntentObject, { kind: K }>> };

export class Plan {
  readonly state: State;
  readonly defaults: ModelDefaults;
  readonly problems = new Problems();
  /** The objects asked for, by kind and id, in the order in which they were given. */
  readonly wanted: Objects;
  /** Endpoints whose addresses have to be allocated anew although nobody asked: their network's subnet has changed. */
  readonly readdress = new Set<string>();
  /** Networks whose subnets or gateways were looked at: their gateways are checked against endpoints at the end. */
  readonly touchedNetworks = new Set<string>();
  /** What the rules of this request say, for the warnings at the end. */
  readonly rules: CheckedRule[] = [];
  /** Hosts that nobody knows: who names them, first and how many in all. Told once for each at the end. */
  readonly unknownHosts = new Map<string, { readonly first: IntentObject; users: number }>();
  #suggestions = 0;
  readonly #failed = new Set<string>();
  readonly #before = new Map<string, { kind: Kind; id: string; record: Records[Table] | undefined }>();
  readonly #pools = new Map<string, TenantPools | undefined>();

  constructor(state: State, defaults: ModelDefaults, objects: readonly IntentObject[]) {
    this.state = state;
    this.defaults = defaults;
    const wanted = Object.fromEntries(KINDS.map((kind) => [kind, new Map()])) as Record<
      Kind,
      Map<string, IntentObject>
    >;
    for (const object of objects) {
      const id = idOf(object);
      if (wanted[object.kind].has(id)) {
        this.problems.error(object, '', 'intent.duplicate', 'is declared twice', 'remove one of the two');
      } else wanted[object.kind].set(id, canonical(object));
    }
    this.wanted = wanted as unknown as Objects;
  }

  /** Later steps leave the object, and what depends on it, alone: the reason has been reported. */
  fail(object: IntentObject): void {
    this.#failed.add(nameOf(object));
  }

  failed(kind: Kind, id: string): boolean {
    return this.#failed.has(`${kind} ${id}`);
  }

  /** To be called before an object's record changes for the first time: the difference is told at the end. */
  watch(kind: Kind, id: string): void {
    const key = `${kind} ${id}`;
    if (this.#before.has(key)) return;
    this.#before.set(key, { kind, id, record: this.state.get(TABLE_OF_KIND[kind], id) });
  }

  changes(): Change[] {
    return [...this.#before.values()].map(({ kind, id, record }) =>
      changeOf(kind, id, record, this.state.get(TABLE_OF_KIND[kind], id)),
    );
  }

  /** Pools of a tenant as the tenant is now; its intent has been checked. */
  pools(tenant: string): TenantPools | undefined {
    if (!this.#pools.has(tenant)) {
      const record = this.state.get('tenant', tenant);
      this.#pools.set(tenant, record && tenantPools(record.spec, this.defaults, this.problems));
    }
    return this.#pools.get(tenant);
  }

  forgetPools(tenant: string): void {
    this.#pools.delete(tenant);
  }

  /**
   * What was probably meant among the ids of a table. Looks through all of them, so only the first few problems of a request
   * get a suggestion: a document with ten thousand wrong names has one mistake.
   */
  didYouMean(text: string, table: Table, otherwise: string): string {
    if (this.#suggestions === MAX_SUGGESTIONS) return otherwise;
    this.#suggestions += 1;
    return didYouMean(text, this.state.ids(table), otherwise);
  }

  /** The next number of an object; reports when there is none. */
  allocateNumber(
    object: IntentObject,
    numbers: { lowestFree(first: number, last: number): number | undefined },
    bits: number,
  ): number | undefined {
    const number = numbers.lowestFree(1, 2 ** bits - 1);
    if (number === undefined) {
      this.problems.error(
        object,
        '',
        `${TABLE_OF_KIND[object.kind]}.exhausted`,
        `there are ${2 ** bits - 1} objects of this kind, which is all there can be`,
        'delete some',
      );
    }
    return number;
  }
}
