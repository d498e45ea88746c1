/** What the numbers in cookies stand for: objects of the model, by kind. */
import type { Collection } from '../derive/index.js';
import type { FactInputs } from './desired.js';

/** Objects that have a number in their facts, each kind numbered from 1 on its own. */
export type ObjectKind =
  | 'tenant'
  | 'network'
  | 'endpoint'
  | 'host'
  | 'group'
  | 'address set'
  | 'policy'
  | 'rule'
  | 'QoS profile'
  | 'station';

interface Numbered {
  readonly number: number;
}

/** Names by number. A kind is looked through when it is first asked for after a settlement: explanations are rare and come together. */
export class ObjectNames {
  readonly #collections: Readonly<Record<ObjectKind, Collection<Numbered>>>;
  readonly #names = new Map<ObjectKind, Map<number, string>>();

  constructor(facts: FactInputs) {
    this.#collections = {
      tenant: facts.tenants,
      network: facts.networks,
      endpoint: facts.endpoints,
      host: facts.hosts,
      group: facts.groups,
      'address set': facts.addressSets,
      policy: facts.policies,
      rule: facts.rules,
      'QoS profile': facts.qosProfiles,
      station: facts.stations,
    };
  }

  /** `acme/web/a` of an endpoint; undefined where no fact has the number (any more). */
  nameOf(kind: ObjectKind, number: number): string | undefined {
    return (this.#names.get(kind) ?? this.#read(kind)).get(number);
  }

  /** To be called after every settlement. */
  forget(): void {
    this.#names.clear();
  }

  #read(kind: ObjectKind): ReadonlyMap<number, string> {
    const names = new Map<number, string>();
    for (const [key, { number }] of this.#collections[kind].entries()) names.set(number, key);
    this.#names.set(kind, names);
    return names;
  }
}
