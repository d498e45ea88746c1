/**
 * Policy for hosts without OpenFlow: who is judged, by which rules in which order, and who is at the other end. A host carries the rules of
 * the subjects that live on it, and the classes that these rules mention, endpoint by endpoint: one that joins a group is one row.
 */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { Collection, Context, Index } from '../../controller/derive/index.js';
import type { NetworkFact, RuleFact, TableRule, TableService } from '../../controller/model/facts.js';
import { type Placement, placementsOf } from '../placement.js';
import { groupClass, type MentionedClass, networkClass, peerClass, portClass } from '../policy/classes.js';
import { membershipsOf, tenantOf } from '../policy/membership.js';
import {
  type Direction,
  DIRECTIONS,
  judgement,
  namedPortText,
  portNamesOf,
  type Subject,
  subjectsOf,
  subjectText,
} from '../policy/subjects.js';
import { addressesOf, subnetsOf } from './forwarding.js';
import type { SoftPlaces } from './places.js';
import { rangesOf } from './ranges.js';

/** A subject that lives on a host; key: `<host>` and the subject's text. */
interface Residence {
  readonly host: string;
  readonly subject: Subject;
  readonly text: string;
}

/** A subject with its rules; key: its text. */
interface JudgingRules {
  readonly subject: number;
  readonly direction: Direction;
  readonly default: 'allow' | 'deny';
  readonly rules: readonly TableRule[];
  /** Names of the classes that the rules mention. */
  readonly classes: readonly string[];
}

const subjectRows = (subject: number): string => `subject ${subject}`;
const classRows = (name: string): string => `class ${name}`;
const hostRows = (host: string): string => `host ${host}`;

export function declarePolicies(d: AppDeclaration, places: SoftPlaces): void {
  const subjects = subjectsOf(d);
  const rulesByJudgement = d.index('rules by judgement', d.facts.rules, ({ policy, direction }) => [
    judgement(direction, policy),
  ]);
  const residences = d.derive<Placement, Residence>(
    'residences',
    places.placements,
    (context, { host }, id) => {
      const subjection = context.get(subjects.subjections, id);
      for (const direction of DIRECTIONS) {
        const subject = subjection?.[direction];
        if (subject === undefined) continue;
        const text = subjectText(subject);
        context.emit(`${host}\n${text}`, { host, subject, text });
      }
    },
  );
  const subjectsHere = d.derive<Residence, Subject>('subjects', residences, (context, { subject, text }) =>
    context.emit(text, subject),
  );
  const judging = d.derive<Subject, JudgingRules>('rules', subjectsHere, (context, subject, text) => {
    const number = subjects.subjects.number(context, text);
    if (number === undefined) return;
    const ordered = orderedRules(context, rulesByJudgement, subjects.policies, subject);
    const rules = ordered.flatMap((rule) => tableRule(rule, subject));
    context.emit(text, {
      subject: number,
      direction: subject.direction,
      default: defaultOf(context, subjects.policies, d, subject),
      rules,
      classes: classesOf(rules),
    });
  });
  const classes = d.derive<Subject, MentionedClass>('classes', subjectsHere, (context, subject) => {
    for (const policy of subject.policies) {
      for (const [, rule] of context.values(rulesByJudgement, judgement(subject.direction, policy))) {
        mention(rule, (name, mentioned) => context.emit(name, mentioned));
      }
    }
  });

  d.entries('judged endpoints', places.placements, (context, { host, network }, id) => {
    const subjection = context.get(subjects.subjections, id);
    const numbers = DIRECTIONS.flatMap((direction) => {
      const subject = subjection?.[direction];
      const number =
        subject === undefined ? undefined : subjects.subjects.number(context, subjectText(subject));
      return number === undefined ? [] : [[direction, number] as const];
    });
    if (numbers.length === 0) return;
    context.carry(host, hostRows(host));
    context.row(hostRows(host), `judged ${id}`, {
      kind: 'judged',
      network: network.number,
      endpoint: id,
      ...Object.fromEntries(numbers),
    });
  });

  d.entries('carried subjects', residences, (context, { host, text }) => {
    const rules = context.get(judging, text);
    if (rules === undefined) return;
    context.carry(host, subjectRows(rules.subject));
    for (const name of rules.classes) context.carry(host, classRows(name));
  });

  d.entries('judging rules', judging, (context, { subject, direction, default: byDefault, rules }) => {
    context.row(subjectRows(subject), 'rules', {
      kind: 'subject',
      subject,
      direction,
      default: byDefault,
      rules,
    });
  });

  declareMembers(d, classes);
  declareAddresses(d, classes);
}

/** Endpoints of groups, and those with ports of some name. */
function declareMembers(d: AppDeclaration, classes: Collection<MentionedClass>): void {
  const memberships = membershipsOf(d);
  d.entries('members', placementsOf(d).placements, (context, placement, id) => {
    const { number: network } = placement.network;
    const member = (name: string, port?: number): void => {
      if (context.get(classes, name) === undefined) return;
      context.row(classRows(name), id, {
        kind: 'member',
        class: name,
        network,
        endpoint: id,
        addresses: addressesOf(placement),
        ...(port === undefined ? {} : { port }),
      });
    };
    for (const group of context.get(memberships, id) ?? []) member(groupClass(group));
    const endpoint = context.get(d.facts.endpoints, id);
    if (endpoint?.namedPorts === undefined) return;
    const tenant = tenantOf(endpoint.network);
    for (const [name, { protocol, port }] of Object.entries(endpoint.namedPorts)) {
      member(portClass(tenant, namedPortText(protocol, name)), port);
    }
  });
}

function declareAddresses(d: AppDeclaration, classes: Collection<MentionedClass>): void {
  const subnets = d.derive<NetworkFact, Pick<NetworkFact, 'number' | 'ipv4' | 'ipv6'>>(
    'subnets',
    d.facts.networks,
    (context, { number, ipv4, ipv6 }, id) =>
      context.emit(id, {
        number,
        ...(ipv4 === undefined ? {} : { ipv4 }),
        ...(ipv6 === undefined ? {} : { ipv6 }),
      }),
  );
  d.entries('addresses', classes, (context, mentioned, name) => {
    if (mentioned.kind === 'network') {
      const network = context.get(subnets, mentioned.id);
      if (network === undefined) return;
      context.row(classRows(name), 'network', {
        kind: 'networkClass',
        class: name,
        network: network.number,
        subnets: subnetsOf(network),
      });
    } else if (mentioned.kind === 'addressSet' || mentioned.kind === 'block') {
      const block =
        mentioned.kind === 'block' ? mentioned.block : context.get(d.facts.addressSets, mentioned.id);
      if (block === undefined) return;
      context.row(classRows(name), 'ranges', { kind: 'ranges', class: name, ranges: rangesOf(block) });
    }
  });
}

type Reader = Pick<Context<never>, 'get' | 'values'>;
type Policies = ReturnType<typeof subjectsOf>['policies'];

/** Those that decide first come first: by tier, then priority, then what forbids before what allows. */
function orderedRules(
  context: Reader,
  rulesByJudgement: Index<RuleFact>,
  policies: Policies,
  { direction, policies: names }: Subject,
): readonly RuleFact[] {
  const allows = ({ action }: RuleFact): number => (action === 'allow' ? 1 : 0);
  return names
    .flatMap((policy) => {
      const tier = context.get(policies, policy)?.tier ?? 0;
      const rules = context.values(rulesByJudgement, judgement(direction, policy));
      return rules.map(([, rule]) => ({ tier, rule }));
    })
    .sort(
      (a, b) =>
        b.tier - a.tier ||
        b.rule.priority - a.rule.priority ||
        allows(a.rule) - allows(b.rule) ||
        a.rule.position - b.rule.position ||
        a.rule.number - b.rule.number,
    )
    .map(({ rule }) => rule);
}

function defaultOf(
  context: Reader,
  policies: Policies,
  d: AppDeclaration,
  { direction, tenant, policies: names }: Subject,
): 'allow' | 'deny' {
  const said = names.map((policy) => context.get(policies, policy)?.[direction]?.default);
  if (said.includes('deny')) return 'deny';
  if (said.includes('allow')) return 'allow';
  return context.get(d.facts.tenants, tenant)?.defaultAction ?? 'allow';
}

/** None where the rule is about multicast groups only: these hosts let no judged endpoint receive any. */
function tableRule(rule: RuleFact, subject: Subject): readonly TableRule[] {
  if (rule.groupAddresses !== undefined) return [];
  const tenant = tenantOf(rule.policy);
  const services = rule.services.flatMap((service) => tableServices(service, tenant, subject));
  // Names that mean nothing here are no services, which is not the same as any.
  if (services.length === 0 && rule.services.length > 0) return [];
  return [
    {
      rule: rule.number,
      action: rule.action,
      stateless: rule.stateless,
      peers: [...new Set(rule.peers.map((peer) => peerClass(tenant, peer)))].sort(),
      services,
    },
  ];
}

function tableServices(
  { protocol, ports = [], portNames = [], icmpType, icmpCode }: RuleFact['services'][number],
  tenant: string,
  subject: Subject,
): readonly TableService[] {
  if (icmpType !== undefined) {
    return [{ protocol, icmpType, ...(icmpCode === undefined ? {} : { icmpCode }) }];
  }
  if (ports.length + portNames.length === 0) return [{ protocol }];
  const names = portNames.map((name) => namedPortText(protocol, name));
  const own = subject.ports.filter(({ name }) => names.includes(name));
  const all = [
    ...ports,
    ...(subject.direction === 'in' ? own.map(({ port }) => ({ first: port, last: port })) : []),
  ];
  return [
    ...(all.length === 0 ? [] : [{ protocol, ports: all }]),
    ...(subject.direction === 'in'
      ? []
      : names.map((name) => ({ protocol, portClass: portClass(tenant, name) }))),
  ];
}

function classesOf(rules: readonly TableRule[]): readonly string[] {
  const names = rules.flatMap(({ peers, services }) => [
    ...peers,
    ...services.flatMap((service) => service.portClass ?? []),
  ]);
  return [...new Set(names)].sort();
}

function mention(rule: RuleFact, tell: (name: string, mentioned: MentionedClass) => void): void {
  const tenant = tenantOf(rule.policy);
  for (const peer of rule.peers) {
    const name = peer.kind === 'network' ? networkClass(peer.id) : peerClass(tenant, peer);
    tell(name, peer.kind === 'block' ? { ...peer, tenant } : peer);
  }
  if (rule.direction === 'in') return;
  for (const name of portNamesOf(rule)) tell(portClass(tenant, name), { kind: 'port', tenant, name });
}
