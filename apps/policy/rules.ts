/**
 * Which rule decides: the entries of `egress_policy` and `ingress_policy`. They match the tuple of the connection's first packet, for
 * packets of both directions.
 *
 *     rules ──► matchers ──► applications (rule, subject) ──► entries
 *                   └──► peers: numbers of the identities in a rule's classes ──┘
 *
 * A rule is one matcher; for each subject that has its policy it is one application, whose entries are in the scope of the
 * subject. So a changed rule makes its own entries anew and no others, a new identity those of the rules that mention one of its
 * classes, and an endpoint that joins what exists none.
 *
 * P identities (and wide classes, `wide-classes.ts`) by K services are P * K plain entries where that is few, else P + K clauses of a conjunctive match (ovs-fields(7),
 * "Conjunctive Match Fields") and the entry it ends in. Multicast groups that the packet is sent to are a third dimension, G identities
 * of its destination.
 */
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import type { ScopeName } from '../../controller/datapath/entry.js';
import type { Collection, Context } from '../../controller/derive/index.js';
import type { RuleFact } from '../../controller/model/facts.js';
import { type Action, F, type Match, oxm } from '../../ofproto/index.js';
import { R, T } from '../pipeline.js';
import { type ClassName, peerClass, portClass, portMeant } from './classes.js';
import type { DeclaredIdentities, Identities } from './identities.js';
import { tenantOf } from './membership.js';
import type { Numbered } from './numbers.js';
import { rulePriority } from './priority.js';
import { combined, isConjunctive, manyOf, type Product } from './products.js';
import { serviceMatches } from './services.js';
import {
  type Direction,
  judgement,
  portNamesOf,
  type PortMeaning,
  type Subject,
  type Subjects,
} from './subjects.js';
import { bitsOf } from './wide-classes.js';

/** What a rule in force matches; key: id of the rule. */
export interface Matcher {
  readonly rule: number;
  readonly direction: Direction;
  readonly judgement: string;
  readonly priority: number;
  /** Sorts the rules of one priority: the first holds where two ask for one entry. */
  readonly order: string;
  /** Key of the identities of the other side; absent: anybody. */
  readonly peers?: string;
  /** Key of the identities of the multicast groups that it is about; absent: any destination. */
  readonly groups?: string;
  /** Services by number; one of no parts is anything. Empty where the rule names ports only. */
  readonly services: readonly Match[];
  /** `6/http`. */
  readonly portNames: readonly string[];
  readonly tenant: string;
}

/** A rule and a subject that has it; key: the matcher's order, then the subject's number. */
interface Application {
  readonly matcher: Matcher;
  readonly subject: number;
  /** Of direction `in`: what the rule's names of ports mean to the subject. */
  readonly ports: readonly PortMeaning[];
}

/** One clause of a rule's conjunctive match for one subject. */
interface Clause {
  readonly direction: Direction;
  readonly subject: number;
  readonly priority: number;
  readonly part: Match;
  readonly rule: number;
  /** From 1, of `clauses`. */
  readonly clause: number;
  readonly clauses: number;
}

type ClauseMatch = Pick<Clause, 'direction' | 'subject' | 'priority' | 'part'>;

const ANYBODY: readonly Match[] = [[]];
const ANY_DESTINATION: readonly Match[] = [[]];
const NOBODY: Peers = { bits: 0, identities: [] };
const ANYTHING: Match = [];

/** Where rules of a direction stand, and which side of the connection is the subject and which the other. */
export const SIDE = {
  out: {
    table: T.egress_policy,
    verdict: T.egress_verdict,
    next: T.ingress_policy,
    judge: R.judgeEgress,
    subject: R.egressSubject,
    peer: R.destinationIdentity,
    peerClasses: R.destinationClasses,
  },
  in: {
    table: T.ingress_policy,
    verdict: T.ingress_verdict,
    next: T.admit,
    judge: R.judgeIngress,
    subject: R.ingressSubject,
    peer: R.sourceIdentity,
    peerClasses: R.sourceClasses,
  },
} as const;

export function subjectScope(subject: number): ScopeName {
  return `identity:${subject}`;
}

/** Who is in some classes. */
interface Peers {
  /** Bits of those that are wide, united. */
  readonly bits: number;
  /** Identities in the others and in none of the wide ones, ascending. */
  readonly identities: readonly number[];
}

/** Key: the classes. */
type PeerLists = Collection<Peers>;

export interface Rules {
  readonly matchers: Collection<Matcher>;
  /** False where nobody is in what the rule names at the other end. */
  hasPeers(context: Pick<EntryContext, 'get'>, matcher: Matcher): boolean;
  /** False where the multicast groups that the rule is about are none. */
  hasGroups(context: Pick<EntryContext, 'get'>, matcher: Matcher): boolean;
}

export function declareRules(
  d: AppDeclaration,
  subjects: Subjects,
  { identities, bits }: DeclaredIdentities,
): Rules {
  const matchers = declareMatchers(d, subjects);
  const peerSets = d.derive<Matcher, readonly ClassName[]>(
    'peer sets',
    matchers,
    (context, { peers, groups }) => {
      for (const key of [peers, groups]) if (key !== undefined) context.emit(key, key.split('\n'));
    },
  );
  const peerLists = d.derive<readonly ClassName[], Peers>('peers', peerSets, (context, classes, key) => {
    const isWide = (name: ClassName): boolean => context.get(bits, name) !== undefined;
    const wide = new Set(classes.filter(isWide));
    const numbers = new Set(
      classes
        .filter((name) => !wide.has(name))
        .flatMap((name) => identities.having(context, name))
        .filter(({ set }) => !set.some((name) => wide.has(name)))
        .map(({ number }) => number),
    );
    context.emit(key, {
      bits: bitsOf(context, bits, classes),
      identities: [...numbers].sort((a, b) => a - b),
    });
  });

  const applications = d.derive<Matcher, Application>('applications', matchers, (context, matcher) => {
    for (const { number: subject, set } of subjects.subjects.having(context, matcher.judgement)) {
      context.emit(`${matcher.order} ${subject}`, {
        matcher,
        subject,
        ports: set.ports.filter(({ name }) => matcher.portNames.includes(name)),
      });
    }
  });

  // Rules of one priority that match the same say the same: the first one counts it.
  d.entries(
    { name: 'rules', object: 'rule' },
    applications,
    (context, application) => ruleEntries(context, application, peerLists, identities),
    {
      firstHolds: true,
    },
  );

  const clauses = d.derive<Application, Clause>(
    'rule clauses',
    applications,
    (context, { matcher, subject }) => {
      const { direction, priority, rule, order } = matcher;
      const product = productOf(context, matcher, peerLists);
      if (product === undefined || !isConjunctive(product)) return;
      const dimensions = manyOf(product);
      for (const [index, parts] of dimensions.entries()) {
        for (const part of parts) {
          context.emit(`${direction} ${subject} ${priority} ${partText(part)} ${order}`, {
            direction,
            subject,
            priority,
            part,
            rule,
            clause: index + 1,
            clauses: dimensions.length,
          });
        }
      }
    },
  );
  const clausesByMatch = d.index('clauses by match', clauses, (clause) => [clauseMatchText(clause)]);
  const clauseMatches = d.derive<Clause, ClauseMatch>('clause matches', clauses, (context, clause) => {
    const { direction, subject, priority, part } = clause;
    context.emit(clauseMatchText(clause), { direction, subject, priority, part });
  });
  // One entry for each match, in as many conjunctive matches as rules ask for.
  d.entries(
    { name: 'clauses', object: 'rule' },
    clauseMatches,
    (context, { direction, subject, priority, part }, key) => {
      const { table, judge, subject: register } = SIDE[direction];
      const taking = context.values(clausesByMatch, key).map(([, clause]) => clause);
      context.flow(subjectScope(subject), {
        table,
        priority,
        // The flag is always set here. It tells a clause from a plain entry with the same match, which cannot be one.
        match: [judge.match(1), register.match(subject), ...part],
        apply: taking.map(
          ({ rule, clause, clauses: of }): Action => ({ type: 'conjunction', id: rule, clause, clauses: of }),
        ),
        object: taking[0]?.rule ?? 0,
      });
    },
  );
  return {
    matchers,
    hasPeers: (context, matcher) => peerMatches(context, matcher, peerLists).length > 0,
    hasGroups: (context, matcher) => groupMatches(context, matcher, peerLists).length > 0,
  };
}

function declareMatchers(d: AppDeclaration, { policies, inForce }: Subjects): Collection<Matcher> {
  return d.derive<RuleFact, Matcher>('matchers', d.facts.rules, (context, rule, id) => {
    const { direction, position, number } = rule;
    const key = judgement(direction, rule.policy);
    const policy = context.get(policies, rule.policy);
    if (policy === undefined || context.get(inForce, key) === undefined) return;
    const tenant = tenantOf(rule.policy);
    const services = rule.services.length === 0 ? [ANYTHING] : serviceMatches(rule.services);
    const [peers, groups] = [rule.peers, rule.groupAddresses ?? []].map((list) =>
      [...new Set(list.map((peer) => peerClass(tenant, peer)))].sort().join('\n'),
    );
    context.emit(id, {
      rule: number,
      direction,
      judgement: key,
      priority: rulePriority(policy.tier, rule),
      order: `${padded(position)} ${padded(number)}`,
      ...(peers ? { peers } : {}),
      ...(groups ? { groups } : {}),
      services,
      portNames: [...new Set(portNamesOf(rule))].sort(),
      tenant,
    });
  });
}

/** What the rule says without its names of ports; undefined where that is nothing. */
function productOf(
  context: Pick<Context<never>, 'get'>,
  matcher: Matcher,
  peerLists: PeerLists,
): Product | undefined {
  const product: Product = [
    peerMatches(context, matcher, peerLists),
    matcher.services,
    groupMatches(context, matcher, peerLists),
  ];
  return product.some(({ length }) => length === 0) ? undefined : product;
}

/** The other side of a rule, as matches that together are it. */
function peerMatches(
  context: Pick<Context<never>, 'get'>,
  { peers: key, direction }: Matcher,
  peerLists: PeerLists,
): readonly Match[] {
  if (key === undefined) return ANYBODY;
  const { peer, peerClasses } = SIDE[direction];
  return identityMatches(context.get(peerLists, key) ?? NOBODY, peer, peerClasses);
}

/** Where the packet is sent to, of direction `in`. */
function groupMatches(
  context: Pick<Context<never>, 'get'>,
  { groups: key }: Matcher,
  peerLists: PeerLists,
): readonly Match[] {
  if (key === undefined) return ANY_DESTINATION;
  return identityMatches(context.get(peerLists, key) ?? NOBODY, R.destinationIdentity, R.destinationClasses);
}

function identityMatches(
  { bits, identities }: Peers,
  identity: typeof R.sourceIdentity,
  classes: typeof R.sourceClasses,
): readonly Match[] {
  const wide: Match[] = [];
  for (let rest = bits; rest !== 0; rest = (rest & (rest - 1)) >>> 0) {
    const lowest = (rest & -rest) >>> 0;
    wide.push([oxm(classes.field, lowest, lowest)]);
  }
  return [...wide, ...identities.map((number) => [identity.match(number)])];
}

function ruleEntries(
  context: EntryContext,
  application: Application,
  peerLists: PeerLists,
  identities: Identities,
): void {
  const { matcher, subject } = application;
  const { rule, priority, direction } = matcher;
  const { table, verdict, subject: register } = SIDE[direction];
  const decide = (match: Match): void =>
    context.flow(subjectScope(subject), {
      table,
      priority,
      match: [register.match(subject), ...match],
      apply: [R.rule.set(rule)],
      goto: verdict,
      object: rule,
    });
  const product = productOf(context, matcher, peerLists);
  if (product !== undefined) {
    const single = product.filter(({ length }) => length === 1).flat(2);
    if (isConjunctive(product)) decide([oxm(F.conj_id, rule), ...single]);
    else for (const match of combined(product)) decide(match);
  }
  for (const { peer, service } of namedServices(context, application, peerLists, identities)) {
    for (const match of combined([[peer], [service], groupMatches(context, matcher, peerLists)]))
      decide(match);
  }
}

/** What names of ports mean: to the subject where it is connected to, else to each endpoint at the other end by itself. */
function namedServices(
  context: EntryContext,
  { matcher, ports }: Application,
  peerLists: PeerLists,
  identities: Identities,
): readonly { readonly peer: Match; readonly service: Match }[] {
  if (matcher.portNames.length === 0) return [];
  const { peers, direction, tenant } = matcher;
  if (direction === 'in') {
    const services = ports.flatMap(({ name, port }) => portServices(name, port));
    return peerMatches(context, matcher, peerLists).flatMap((peer) =>
      services.map((service) => ({ peer, service })),
    );
  }
  const classes = peers === undefined ? undefined : new Set(peers.split('\n'));
  return matcher.portNames.flatMap((name) => {
    const ofName = portClass(tenant, name);
    return identities
      .having(context, ofName)
      .filter(({ set }) => classes === undefined || set.some((memberOf) => classes.has(memberOf)))
      .flatMap(({ number, set }) =>
        set.flatMap((memberOf) => {
          const port = portMeant(memberOf, ofName);
          return port === undefined
            ? []
            : portServices(name, port).map((service) => ({
                peer: [SIDE[direction].peer.match(number)],
                service,
              }));
        }),
      );
  });
}

/** `name`: `6/http`. */
function portServices(name: string, port: number): readonly Match[] {
  const protocol = Number(name.slice(0, name.indexOf('/')));
  return serviceMatches([{ protocol, ports: [{ first: port, last: port }] }]);
}

function clauseMatchText({ direction, subject, priority, part }: ClauseMatch): string {
  return `${direction} ${subject} ${priority} ${partText(part)}`;
}

function partText(part: Match): string {
  return part.map(({ field, value, mask }) => `${field.name}=${value}/${mask ?? ''}`).join();
}

function padded(number: number): string {
  return String(number).padStart(10, '0');
}

/** Subjects as rules see them. */
export type NumberedSubject = Numbered<Subject>;
