import type { FactChange } from '../model/facts.js';
import type { FactInputs } from '../datapath/index.js';

/** Writes what the model has committed into the inputs of the derivations. */
export function writeFacts(facts: FactInputs, changes: readonly FactChange[]): void {
  for (const change of changes) {
    switch (change.kind) {
      case 'tenant':
        write(facts.tenants, change.key, change.value);
        break;
      case 'network':
        write(facts.networks, change.key, change.value);
        break;
      case 'endpoint':
        write(facts.endpoints, change.key, change.value);
        break;
      case 'host':
        write(facts.hosts, change.key, change.value);
        break;
      case 'group':
        write(facts.groups, change.key, change.value);
        break;
      case 'addressSet':
        write(facts.addressSets, change.key, change.value);
        break;
      case 'policy':
        write(facts.policies, change.key, change.value);
        break;
      case 'rule':
        write(facts.rules, change.key, change.value);
        break;
      case 'qosProfile':
        write(facts.qosProfiles, change.key, change.value);
        break;
    }
  }
}

function write<V>(
  input: { set(key: string, value: V): void; delete(key: string): void },
  key: string,
  value: V | undefined,
): void {
  if (value === undefined) input.delete(key);
  else input.set(key, value);
}
