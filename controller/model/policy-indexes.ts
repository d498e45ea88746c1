/** Indexes of policy and quality of service: numbers, who names whom, and what selectors of groups are answered from. */
import { MultiMap, pair } from './multi-map.js';
import { OwnedNumbers } from './owned-numbers.js';
import { traitsOf } from './policy-facts.js';
import type { EndpointRecord, GroupRecord, Records, RuleRecord, Table } from './records.js';

/** Tables whose objects belong to a tenant and have a number. */
export const NUMBERED = ['qosProfile', 'addressSet', 'policy', 'group', 'rule'] as const satisfies Table[];
export type Numbered = (typeof NUMBERED)[number];

/** Tables whose records name objects of other tables. */
export type UserTable = 'network' | 'policy' | 'rule' | 'group' | 'endpoint';

/** A record that is named by another one. */
export interface Named {
  readonly table: 'network' | 'tier' | 'qosProfile' | 'addressSet' | 'policy' | 'group';
  readonly id: string;
}

export class PolicyIndexes {
  readonly numbers: { readonly [T in Numbered]: OwnedNumbers } = {
    qosProfile: new OwnedNumbers(),
    addressSet: new OwnedNumbers(),
    policy: new OwnedNumbers(),
    group: new OwnedNumbers(),
    rule: new OwnedNumbers(),
  };
  /** Policy -> its rules. */
  readonly rulesOfPolicy = new MultiMap();
  /** Endpoint -> groups that name it. */
  readonly groupsNaming = new MultiMap();
  readonly #ofTenant = new MultiMap();
  readonly #users = new MultiMap();
  readonly #labels = new MultiMap();
  readonly #portNames = new MultiMap();
  readonly #selectors = new MultiMap();

  ofTenant(table: Numbered, tenant: string): ReadonlySet<string> {
    return this.#ofTenant.get(pair(table, tenant));
  }

  /** Ids of the records of a table that name an object. */
  users({ table, id }: Named, of: UserTable): ReadonlySet<string> {
    return this.#users.get(usersKey(of, { table, id }));
  }

  /** Endpoints of a tenant with a label, of any value when it is left out. */
  labelled(tenant: string, key: string, value?: string): ReadonlySet<string> {
    return this.#labels.get(labelKey(tenant, key, value));
  }

  /** Endpoints of a tenant that have a port of a name. */
  withPortName(tenant: string, name: string): ReadonlySet<string> {
    return this.#portNames.get(pair(tenant, name));
  }

  /** Groups whose selector may choose endpoints with these labels; a few of them, not all of the tenant. */
  *selectorsFor(tenant: string, labels: Readonly<Record<string, string>>): Iterable<string> {
    yield* this.#selectors.get(pair(tenant, ''));
    for (const [key, value] of Object.entries(labels))
      yield* this.#selectors.get(labelKey(tenant, key, value));
  }

  change(change: 'add' | 'delete', table: Table, id: string, record: Records[Table]): void {
    if (isNumbered(table)) {
      const { number, spec } = record as Records[Numbered];
      this.numbers[table][change](number, id);
      this.#ofTenant[change](pair(table, spec.tenant), id);
    }
    for (const named of namedBy(table, record)) this.#users[change](usersKey(table as UserTable, named), id);
    if (table === 'rule') {
      const { spec } = record as RuleRecord;
      this.rulesOfPolicy[change](`${spec.tenant}/${spec.policy}`, id);
    } else if (table === 'group') this.#group(change, id, record as GroupRecord);
    else if (table === 'endpoint') this.#endpoint(change, id, record as EndpointRecord);
  }

  #group(change: 'add' | 'delete', id: string, { spec }: GroupRecord): void {
    const { tenant, selector, endpoints = [] } = spec;
    for (const endpoint of endpoints) this.groupsNaming[change](`${tenant}/${endpoint}`, id);
    if (selector === undefined) return;
    // One label that all of its members have; a selector without any is looked at for each endpoint.
    const [label] = Object.entries(selector.matchLabels ?? {});
    this.#selectors[change](label === undefined ? pair(tenant, '') : labelKey(tenant, ...label), id);
  }

  #endpoint(change: 'add' | 'delete', id: string, record: EndpointRecord): void {
    const { tenant } = record.spec;
    const { labels = {}, ports = {} } = traitsOf(record);
    for (const [key, value] of Object.entries(labels)) {
      this.#labels[change](labelKey(tenant, key), id);
      this.#labels[change](labelKey(tenant, key, value), id);
    }
    for (const port of Object.keys(ports)) this.#portNames[change](pair(tenant, port), id);
  }
}

const isNumbered = (table: Table): table is Numbered => (NUMBERED as readonly Table[]).includes(table);

const usersKey = (user: UserTable, { table, id }: Named): string => `${user}\n${table}\n${id}`;

const labelKey = (tenant: string, key: string, value?: string): string =>
  value === undefined ? `${tenant}\n${key}` : `${tenant}\n${key}\n${value}`;

/** What a record names; the order is that of its members. */
export function namedBy(table: Table, record: Records[Table]): Named[] {
  switch (table) {
    case 'network':
      return profile((record as Records['network']).spec);
    case 'policy': {
      const { tier } = (record as Records['policy']).spec;
      return tier === undefined ? [] : [{ table: 'tier', id: tier }];
    }
    case 'rule': {
      const { tenant, from = [], to = [], groupAddresses = [] } = (record as RuleRecord).spec;
      return [
        ...[...from, ...to].flatMap(({ group, network, addressSet }): Named[] => [
          ...named('group', tenant, group),
          ...named('network', tenant, network),
          ...named('addressSet', tenant, addressSet),
        ]),
        ...groupAddresses.flatMap(({ addressSet }) => named('addressSet', tenant, addressSet)),
      ];
    }
    case 'group': {
      const { spec } = record as GroupRecord;
      return [
        ...named('network', spec.tenant, spec.network),
        ...(spec.networks ?? []).flatMap((network) => named('network', spec.tenant, network)),
        ...(spec.policies ?? []).flatMap((policy) => named('policy', spec.tenant, policy)),
        ...profile(spec),
      ];
    }
    case 'endpoint': {
      const endpoint = record as EndpointRecord;
      const { tenant } = endpoint.spec;
      const { groups = [], qos } = traitsOf(endpoint);
      return [
        ...groups.flatMap((group) => named('group', tenant, group)),
        ...named('qosProfile', tenant, qos),
        // What the agent said counts again when the intent no longer does.
        ...named('qosProfile', tenant, endpoint.announced?.qos),
      ];
    }
    default:
      return [];
  }
}

const named = (table: Named['table'], tenant: string, name: string | undefined): Named[] =>
  name === undefined ? [] : [{ table, id: `${tenant}/${name}` }];

const profile = ({ tenant, qos }: { tenant: string; qos?: string }): Named[] =>
  named('qosProfile', tenant, qos);
