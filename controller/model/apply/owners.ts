/**
 * Whose objects are. What another system has declared (`owner`) is kept in step with that system alone: a request of somebody else
 * does not change it, and the whole truth of people (`replace`) says nothing about it.
 */
import type { IntentObject, Kind } from '../intents.js';
import type { Table } from '../records.js';
import type { State } from '../state.js';
import type { ObjectRef } from '../types.js';
import { type Plan, TABLE_OF_KIND } from './plan.js';

const OWNED_KINDS = ['Tenant', 'Network', 'Endpoint', 'Policy', 'Group'] as const;
type OwnedKind = (typeof OWNED_KINDS)[number];
const isOwnedKind = (kind: Kind): kind is OwnedKind => (OWNED_KINDS as readonly Kind[]).includes(kind);

/** Undefined: people's, or there is no such object. */
export function ownerOf(state: State, kind: Kind, id: string): string | undefined {
  return isOwnedKind(kind) ? state.get(TABLE_OF_KIND[kind], id)?.spec.owner : undefined;
}

/** Refuses objects that are there already as somebody else's. What agents have asked for (dynamic endpoints) anybody may declare. */
export function checkOwners(plan: Plan): void {
  const { state, wanted } = plan;
  for (const kind of OWNED_KINDS) {
    for (const [id, object] of wanted[kind]) {
      const record = state.get(TABLE_OF_KIND[kind], id);
      if (record === undefined || ('dynamic' in record && record.dynamic)) continue;
      if (record.spec.owner !== object.owner) refuse(plan, object, 'owner', record.spec.owner);
    }
  }
  for (const rule of wanted.Rule.values()) {
    const policy = `${rule.tenant}/${rule.policy}`;
    const owner = wanted.Policy.has(policy) ? undefined : ownerOf(state, 'Policy', policy);
    if (owner !== undefined) refuse(plan, rule, 'policy', owner);
  }
}

function refuse(plan: Plan, object: IntentObject, member: string, owner: string | undefined): void {
  plan.problems.error(
    object,
    member,
    'object.owner',
    owner === undefined ? 'is declared by people already' : `is kept in step with ${owner}`,
    owner === undefined
      ? 'delete it, or use another name'
      : `change it there, or use another name; owner: ${owner} overrides until ${owner} says otherwise`,
  );
  plan.fail(object);
}

/** Deleting is allowed, and seldom meant: the owner declares the object again. */
export function warnOfOwners(plan: Plan, refs: readonly ObjectRef[]): void {
  for (const { kind, name } of refs) {
    const owner = Object.hasOwn(TABLE_OF_KIND, kind) ? ownerOf(plan.state, kind, name) : undefined;
    if (owner === undefined) continue;
    plan.problems.add({
      severity: 'warning',
      code: 'object.owner',
      path: `${kind} ${name}`,
      message: `${kind} ${name} is kept in step with ${owner}, which declares it again`,
      fix: 'delete it there',
    });
  }
}

/** What `replace` leaves alone: objects of owners, and the networks and tenants that these are in. */
export function keptForOwner(state: State): (table: Table, id: string) => boolean {
  const kept = new Set<string>();
  for (const kind of OWNED_KINDS) {
    const table = TABLE_OF_KIND[kind];
    for (const id of state.ids(table)) {
      if (ownerOf(state, kind, id) === undefined) continue;
      kept.add(`${table} ${id}`);
      const [tenant = '', network = ''] = id.split('/');
      kept.add(`tenant ${tenant}`);
      if (kind === 'Endpoint') kept.add(`network ${tenant}/${network}`);
    }
  }
  return (table, id) => kept.has(`${table} ${id}`);
}

/** Ids of everything of an owner, by kind. */
export function objectsOfOwner(state: State, owner: string): ObjectRef[] {
  return OWNED_KINDS.flatMap((kind) =>
    [...state.ids(TABLE_OF_KIND[kind])]
      .filter((name) => ownerOf(state, kind, name) === owner)
      .map((name) => ({ kind, name })),
  );
}
