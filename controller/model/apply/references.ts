/** Names of other objects in an intent, and the members that all objects of a tenant have. */
import type { IntentObject, Kind } from '../intents.js';
import type { Numbered } from '../policy-indexes.js';
import { type Plan, TABLE_OF_KIND } from './plan.js';

/** Kinds as sentences name them. */
const WORDS: Readonly<Partial<Record<Kind, string>>> = {
  AddressSet: 'address set',
  QosProfile: 'QoS profile',
};
export const wordOf = (kind: Kind): string => WORDS[kind] ?? kind.toLowerCase();

/** What a request knows of an object that another one names. */
export type Known = 'known' | 'failed' | 'unknown';

/** Whether there is an object of that name; one that has been refused in this request is not told again. */
export function known(plan: Plan, kind: Kind, id: string): Known {
  if (plan.failed(kind, id)) return 'failed';
  return plan.state.has(TABLE_OF_KIND[kind], id) ? 'known' : 'unknown';
}

/** False when the object that a member names is not there; reported unless its own problem has been. */
export function checkReference(
  plan: Plan,
  object: IntentObject,
  member: string,
  kind: Kind,
  id: string,
): boolean {
  const found = known(plan, kind, id);
  if (found === 'unknown') {
    const table = TABLE_OF_KIND[kind];
    plan.problems.error(
      object,
      member,
      `${TABLE_OF_KIND[object.kind]}.${table}.unknown`,
      `there is no ${wordOf(kind)} ${id}`,
      plan.didYouMean(id, table, `declare the ${wordOf(kind)}, in this file or before`),
    );
  }
  return found === 'known';
}

/** The number of an object of a tenant, which has to be there; undefined when the object has been refused. */
export function numberOf(
  plan: Plan,
  object: Extract<IntentObject, { tenant: string }>,
  table: Numbered,
  id: string,
): number | undefined {
  if (!checkReference(plan, object, 'tenant', 'Tenant', object.tenant)) return undefined;
  const existing = plan.state.get(table, id)?.number;
  return existing ?? plan.allocateNumber(object, plan.state.indexes.policy.numbers[table], 32);
}
