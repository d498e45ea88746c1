/** What a request reads of the model, read once, and the links between objects that contiv keeps in them. */
import type { Model, ObjectViews } from '../../model/types.js';
import type { Key, Link, LinkSet, Members } from './types.js';

/** contiv's tenant of those who name none. It is there from the beginning; here it is declared as soon as something is in it. */
export const DEFAULT_TENANT = 'default';

/** `tenant/network` as `tenant:network`. */
export const keyOf = (id: string): string => id.replaceAll('/', ':');
export const idOfKey = (key: Key): string => key.join('/');

export class Snapshot {
  readonly #lists = new Map<string, readonly unknown[]>();
  readonly #relations = new Map<string, Map<string, string[]>>();

  constructor(readonly model: Model) {}

  get tenants(): readonly ObjectViews['Tenant'][] {
    return this.#list('Tenant');
  }
  get networks(): readonly ObjectViews['Network'][] {
    return this.#list('Network');
  }
  get groups(): readonly ObjectViews['Group'][] {
    return this.#list('Group');
  }
  get policies(): readonly ObjectViews['Policy'][] {
    return this.#list('Policy');
  }
  get rules(): readonly ObjectViews['Rule'][] {
    return this.#list('Rule');
  }
  get profiles(): readonly ObjectViews['QosProfile'][] {
    return this.#list('QosProfile');
  }
  get endpoints(): readonly ObjectViews['Endpoint'][] {
    return this.#list('Endpoint');
  }

  #list<K extends keyof ObjectViews>(kind: K): readonly ObjectViews[K][] {
    let list = this.#lists.get(kind) as readonly ObjectViews[K][] | undefined;
    if (list === undefined) {
      list = this.model.list(kind);
      this.#lists.set(kind, list);
    }
    return list;
  }

  /** Ids of the objects that `owner` names, or that name it, by what `pairs` yields; made once under `name`. */
  #related(name: string, pairs: () => Iterable<readonly [owner: string, id: string]>): Map<string, string[]> {
    const known = this.#relations.get(name);
    if (known !== undefined) return known;
    const related = new Map<string, string[]>();
    for (const [owner, id] of pairs()) {
      const ids = related.get(owner);
      if (ids === undefined) related.set(owner, [id]);
      else ids.push(id);
    }
    this.#relations.set(name, related);
    return related;
  }

  inTenant(tenant: string, kind: 'networks' | 'groups' | 'policies' | 'profiles'): readonly string[] {
    const pairs = () => this[kind].map(({ name, spec }) => [spec.tenant, name] as const);
    return this.#related(`${kind} of tenants`, pairs).get(tenant) ?? [];
  }

  /** Groups that are contiv's groups of the network. */
  groupsOfNetwork(network: string): readonly string[] {
    const pairs = () =>
      this.groups.flatMap(({ name, spec }) =>
        spec.network === undefined ? [] : [[`${spec.tenant}/${spec.network}`, name] as const],
      );
    return this.#related('groups of networks', pairs).get(network) ?? [];
  }

  groupsWithProfile(profile: string): readonly string[] {
    const pairs = () =>
      this.groups.flatMap(({ name, spec }) =>
        spec.qos === undefined ? [] : [[`${spec.tenant}/${spec.qos}`, name] as const],
      );
    return this.#related('groups of profiles', pairs).get(profile) ?? [];
  }

  /** Rules that have the group as their other side. */
  rulesAboutGroup(group: string): readonly string[] {
    const pairs = () =>
      this.rules.flatMap(({ name, spec }) =>
        [...(spec.from ?? []), ...(spec.to ?? [])].flatMap((peer) =>
          peer.group === undefined ? [] : [[`${spec.tenant}/${peer.group}`, name] as const],
        ),
      );
    return this.#related('rules about groups', pairs).get(group) ?? [];
  }

  endpointsOfGroup(group: string): readonly ObjectViews['Endpoint'][] {
    const byId = this.#endpointsById();
    const pairs = () =>
      this.endpoints.flatMap(({ name, spec, status }) =>
        (status.groups ?? []).map(
          (one) => [one.includes('/') ? one : `${spec.tenant}/${one}`, name] as const,
        ),
      );
    return (this.#related('endpoints of groups', pairs).get(group) ?? []).flatMap((id) => byId.get(id) ?? []);
  }

  endpointsOfNetwork(network: string): readonly ObjectViews['Endpoint'][] {
    const byId = this.#endpointsById();
    const pairs = () =>
      this.endpoints.map(({ name, spec }) => [`${spec.tenant}/${spec.network}`, name] as const);
    return (this.#related('endpoints of networks', pairs).get(network) ?? []).flatMap(
      (id) => byId.get(id) ?? [],
    );
  }

  #byId?: Map<string, ObjectViews['Endpoint']>;
  #endpointsById(): Map<string, ObjectViews['Endpoint']> {
    return (this.#byId ??= new Map(this.endpoints.map((endpoint) => [endpoint.name, endpoint])));
  }
}

export const link = (type: string, id: string): Link => ({ type, key: keyOf(id) });

/** Undefined for none: contiv leaves empty sets out. */
export function linkSet(type: string, ids: readonly string[]): LinkSet | undefined {
  if (ids.length === 0) return undefined;
  return Object.fromEntries(ids.map((id) => [keyOf(id), link(type, id)]));
}

/** Without what contiv leaves out: absent, empty and zero values. */
export function object(members: Members): Members {
  return Object.fromEntries(
    Object.entries(members).filter(
      ([, value]) =>
        value !== undefined && value !== '' && value !== 0 && !(Array.isArray(value) && value.length === 0),
    ),
  );
}
