/**
 * Who is judged by which policies. A *subject* is what decides which rules an endpoint has for one direction: its tenant, the
 * policies of its groups that say something about the direction, and the ports that those policies name. Endpoints with equal
 * subjects share all entries of their rules, so what else they are members of costs nothing here.
 */
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import type { Collection, Context, Derived } from '../../controller/derive/index.js';
import type {
  EndpointId,
  GroupFact,
  NamedPort,
  NetworkId,
  PolicyFact,
  RuleFact,
  TenantObjectId,
} from '../../controller/model/facts.js';
import { type Placement, placementsOf } from '../placement.js';
import { membershipsOf, tenantOf } from './membership.js';
import { NumberedSets } from './numbers.js';

export type Direction = RuleFact['direction'];
export const DIRECTIONS: readonly Direction[] = ['out', 'in'];

export interface Subject {
  readonly direction: Direction;
  readonly tenant: string;
  /** Ascending. Empty: the tenant's default alone decides. */
  readonly policies: readonly TenantObjectId[];
  /** Of direction `in`: what names of ports its policies use mean to it, by `namedPortText`, ascending. */
  readonly ports: readonly PortMeaning[];
}

/** `tcp/http` is port 80 here, in numbers. */
export interface PortMeaning {
  /** `6/http`. */
  readonly name: string;
  readonly port: number;
}

/** What a policy is for one direction. */
interface Side {
  readonly default?: 'allow' | 'deny';
  /** Names of ports that rules of direction `in` use, ascending. */
  readonly portNames: readonly string[];
}

/** What of a policy others need; key: id. A direction that it says nothing about is not there. */
export interface PolicySummary {
  readonly number: number;
  readonly tier: number;
  readonly in?: Side;
  readonly out?: Side;
}

/** The subjects of an endpoint, for each direction that it is judged in; key: id of the endpoint. */
export interface Subjection {
  readonly network: NetworkId;
  readonly networkNumber: number;
  readonly in?: Subject;
  readonly out?: Subject;
}

export interface Subjects {
  readonly policies: Collection<PolicySummary>;
  readonly subjections: Collection<Subjection>;
  /** All subjects, found by `judgement` of their policies. */
  readonly subjects: NumberedSets<Subject>;
  /** Directions of policies that somebody is subject to; keys: `judgement`. */
  readonly inForce: Collection<true>;
  /** Key while anybody is subject to anything. */
  readonly anything: Collection<true>;
}

/** `in acme/web`: a policy in one direction. */
export function judgement(direction: Direction, policy: TenantObjectId): string {
  return `${direction} ${policy}`;
}

/** `6/http`. */
export function namedPortText(protocol: number, name: string): string {
  return `${protocol}/${name}`;
}

export function subjectText({ direction, tenant, policies, ports }: Subject): string {
  const meanings = ports.map(({ name, port }) => `${name}=${port}`);
  return [`${direction} ${tenant}`, ...policies, ...meanings].join('\n');
}

type Reader = Pick<Context<never> | EntryContext, 'get'>;

/** Number of what an endpoint is judged by in a direction; undefined if it is not. */
export function subjectNumber(
  { subjections, subjects }: Subjects,
  context: Reader & Pick<EntryContext, 'keys' | 'values'>,
  endpoint: EndpointId,
  direction: Direction,
): number | undefined {
  const subject = context.get(subjections, endpoint)?.[direction];
  return subject === undefined ? undefined : subjects.number(context, subjectText(subject));
}

/** The collections of this file, declared once whoever asks first. */
export function subjectsOf(declaration: AppDeclaration): Subjects {
  return declaration.shared('subjects', declareSubjects);
}

function declareSubjects(d: AppDeclaration): Subjects {
  const memberships = membershipsOf(d);
  const { placements } = placementsOf(d);
  const policies = declarePolicies(d);
  const policiesOfGroups = d.derive<GroupFact, readonly TenantObjectId[]>(
    'policies of groups',
    d.facts.groups,
    (context, group, id) => {
      if (group.policies.length > 0) context.emit(id, [...new Set(group.policies)].sort());
    },
  );
  /** Tenants that deny what nobody allows. */
  const closed = d.derive('closed tenants', d.facts.tenants, (context: Context<true>, tenant, name) => {
    if (tenant.defaultAction === 'deny') context.emit(name, true);
  });

  const subjections = d.derive<Placement, Subjection>(
    'subjections',
    placements,
    (context, { network: { number: networkNumber } }, id) => {
      const endpoint = context.get(d.facts.endpoints, id);
      if (endpoint === undefined) return;
      const tenant = tenantOf(endpoint.network);
      const groups = context.get(memberships, id) ?? [];
      const named = new Set(groups.flatMap((group) => context.get(policiesOfGroups, group) ?? []));
      const all = [...named].sort().flatMap((policy) => {
        const summary = context.get(policies, policy);
        return summary === undefined ? [] : [{ policy, summary }];
      });
      const isClosed = context.get(closed, tenant) === true;
      const sides = DIRECTIONS.flatMap((direction) => {
        const saying = all.filter(({ summary }) => summary[direction] !== undefined);
        if (saying.length === 0 && !isClosed) return [];
        const names = new Set(saying.flatMap(({ summary }) => summary[direction]?.portNames ?? []));
        const subject: Subject = {
          direction,
          tenant,
          policies: saying.map(({ policy }) => policy),
          ports: meanings(names, endpoint.namedPorts ?? {}),
        };
        return [[direction, subject] as const];
      });
      if (sides.length === 0) return;
      context.emit(id, { network: endpoint.network, networkNumber, ...Object.fromEntries(sides) });
    },
  );

  const subjectSets = d.derive<Subjection, Subject>('subject sets', subjections, (context, subjection) => {
    for (const direction of DIRECTIONS) {
      const subject = subjection[direction];
      if (subject !== undefined) context.emit(subjectText(subject), subject);
    }
  });
  const subjects = new NumberedSets(d, 'subjects', [subjectSets], (subject) =>
    subject.policies.map((policy) => judgement(subject.direction, policy)),
  );
  const inForce: Derived<true> = d.derive<Subject, true>('in force', subjectSets, (context, subject) => {
    for (const policy of subject.policies) context.emit(judgement(subject.direction, policy), true);
  });
  const anything = d.derive<Subject, true>('anything', subjectSets, (context) =>
    context.emit('anything', true),
  );
  return { policies, subjections, subjects, inForce, anything };
}

function declarePolicies(d: AppDeclaration): Collection<PolicySummary> {
  const rulesByPolicy = d.index('rules by policy', d.facts.rules, ({ policy, direction }) => [
    judgement(direction, policy),
  ]);
  const namingRules = d.index('rules that name ports', d.facts.rules, (rule) =>
    rule.direction === 'in' && portNamesOf(rule).length > 0 ? [rule.policy] : [],
  );
  return d.derive<PolicyFact, PolicySummary>('policies', d.facts.policies, (context, policy, id) => {
    const side = (direction: Direction, byDefault: Side['default']): Side | undefined => {
      if (byDefault === undefined && context.keys(rulesByPolicy, judgement(direction, id)).length === 0) {
        return undefined;
      }
      const naming = direction === 'in' ? context.values(namingRules, id) : [];
      const portNames = [...new Set(naming.flatMap(([, rule]) => portNamesOf(rule)))].sort();
      return { portNames, ...(byDefault === undefined ? {} : { default: byDefault }) };
    };
    const [into, out] = [side('in', policy.defaultIn), side('out', policy.defaultOut)];
    context.emit(id, {
      number: policy.number,
      tier: policy.tier,
      ...(into === undefined ? {} : { in: into }),
      ...(out === undefined ? {} : { out }),
    });
  });
}

/** Names of ports in a rule, with their protocol, by `namedPortText`. */
export function portNamesOf({ services }: RuleFact): readonly string[] {
  return services.flatMap(({ protocol, portNames = [] }) =>
    portNames.map((name) => namedPortText(protocol, name)),
  );
}

function meanings(
  names: ReadonlySet<string>,
  ports: Readonly<Record<string, NamedPort>>,
): readonly PortMeaning[] {
  return Object.entries(ports)
    .map(([name, { protocol, port }]) => ({ name: namedPortText(protocol, name), port }))
    .filter(({ name }) => names.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
