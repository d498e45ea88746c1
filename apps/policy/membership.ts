/**
 * Which groups an endpoint is in: those that name it, those it names, those whose selector chooses it, and those of its network.
 *
 * A group with a selector is looked for under one label that its members must have, so an endpoint is compared with the
 * groups that ask for a label it has, and with those that ask for none.
 */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { Collection } from '../../controller/derive/index.js';
import type {
  EndpointFact,
  GroupFact,
  LabelSelector,
  NetworkId,
  TenantObjectId,
} from '../../controller/model/facts.js';

/** What of a group says who is in it. */
type Choice = Pick<GroupFact, 'tenant' | 'endpoints' | 'networks' | 'selector'>;

type Labels = Readonly<Record<string, string>>;

/** Groups of an endpoint, ascending; key: id of the endpoint. Endpoints without groups are not there. */
export function membershipsOf(declaration: AppDeclaration): Collection<readonly TenantObjectId[]> {
  return declaration.shared('memberships', declareMemberships);
}

export function tenantOf(id: NetworkId | TenantObjectId): string {
  return id.slice(0, id.indexOf('/'));
}

function declareMemberships(d: AppDeclaration): Collection<readonly TenantObjectId[]> {
  const choices = d.derive<GroupFact, Choice>('choices', d.facts.groups, (context, group, id) => {
    const { tenant, endpoints, networks, selector } = group;
    context.emit(id, { tenant, endpoints, networks, ...(selector === undefined ? {} : { selector }) });
  });
  const candidates = d.index('candidates', choices, placesToLook);

  return d.derive<EndpointFact, readonly TenantObjectId[]>(
    'memberships',
    d.facts.endpoints,
    (context, endpoint, id) => {
      const { labels = {}, network } = endpoint;
      const groups = new Set<TenantObjectId>(context.keys(candidates, `endpoint ${id}`));
      for (const group of endpoint.groups ?? []) {
        if (context.get(choices, group) !== undefined) groups.add(group);
      }
      const tenant = tenantOf(network);
      const places = [
        `network ${network}`,
        `tenant ${tenant}`,
        ...Object.entries(labels).flatMap(([key, value]) => [
          labelPlace(tenant, key, value),
          keyPlace(tenant, key),
        ]),
      ];
      for (const place of places) {
        for (const [group, { networks, selector }] of context.values(candidates, place)) {
          const here = networks.length === 0 || networks.includes(network);
          if (here && (selector === undefined || selects(selector, labels))) groups.add(group);
        }
      }
      if (groups.size > 0) context.emit(id, [...groups].sort());
    },
  );
}

/** True if labels satisfy a selector. */
export function selects({ matchLabels, expressions }: LabelSelector, labels: Labels): boolean {
  for (const [key, value] of Object.entries(matchLabels)) if (labelOf(labels, key) !== value) return false;
  return expressions.every(({ key, operator, values }) => {
    const value = labelOf(labels, key);
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
    }
  });
}

/** `constructor` and its like are labels only where somebody set them. */
function labelOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

function placesToLook({ tenant, endpoints, networks, selector }: Choice): readonly string[] {
  const places = endpoints.map((id) => `endpoint ${id}`);
  if (selector === undefined) places.push(...networks.map((network) => `network ${network}`));
  else places.push(...requirement(tenant, selector));
  return [...new Set(places)];
}

/** Labels of which every chosen endpoint has one. The tenant stands for selectors that ask for none. */
function requirement(tenant: string, { matchLabels, expressions }: LabelSelector): readonly string[] {
  const [label] = Object.entries(matchLabels).sort(([a], [b]) => (a < b ? -1 : 1));
  if (label !== undefined) return [labelPlace(tenant, ...label)];
  const within = expressions.find(({ operator }) => operator === 'In');
  if (within !== undefined) return within.values.map((value) => labelPlace(tenant, within.key, value));
  const exists = expressions.find(({ operator }) => operator === 'Exists');
  if (exists !== undefined) return [keyPlace(tenant, exists.key)];
  return [`tenant ${tenant}`];
}

function labelPlace(tenant: string, key: string, value: string): string {
  return `label ${tenant} ${key}=${value}`;
}

function keyPlace(tenant: string, key: string): string {
  return `label ${tenant} ${key}`;
}
