import type { FactChange } from '../model/facts.js';
import type { FactInputs } from '../datapath/index.js';

/** Which input a kind of facts goes to. */
const INPUT_OF = {
  tenant: 'tenants',
  network: 'networks',
  endpoint: 'endpoints',
  host: 'hosts',
  group: 'groups',
  addressSet: 'addressSets',
  policy: 'policies',
  rule: 'rules',
  qosProfile: 'qosProfiles',
} as const satisfies Readonly<Record<FactChange['kind'], keyof FactInputs>>;

type Value = NonNullable<FactChange['value']>;

/** Writes what the model has committed into the inputs of the derivations. */
export function writeFacts(facts: FactInputs, changes: readonly FactChange[]): void {
  for (const { kind, key, value } of changes) {
    // The value of a change is of its kind, which is lost where kinds are treated alike.
    const input = facts[INPUT_OF[kind]] as {
      set(key: string, value: Value): void;
      delete(key: string): void;
    };
    if (value === undefined) input.delete(key);
    else input.set(key, value);
  }
}
