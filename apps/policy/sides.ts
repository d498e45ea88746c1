/**
 * Which side of a connection is an endpoint of this host, and by which policies it is judged. Asked of the port that a packet comes from
 * and of the MAC address it goes to, which is what it will be delivered by: no address in a packet or in the connection table
 * gets anything past the policies of the port it goes out of.
 *
 * A packet of a connection's first direction is judged by what its sender may send and its receiver admits; one of the other
 * direction, by what its receiver may send and its sender admits.
 */
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import { CtState, F, type Match, oxm } from '../../ofproto/index.js';
import { ctState, valid } from '../conntrack.js';
import { inPort, ipv4, ipv6 } from '../match.js';
import { Priority, R, T } from '../pipeline.js';
import { hostScope, type LocalEndpoint, type Placement, placementsOf } from '../placement.js';
import { EtherType } from '../protocols.js';
import { PolicyPriority } from './priority.js';
import { SIDE, subjectScope } from './rules.js';
import { DIRECTIONS, type Direction, subjectNumber, type Subjects } from './subjects.js';
import { policyScope } from './verdicts.js';

/** Why the policy tables drop whatever the rules say; the object of the cookie. */
export const PolicyDrop = {
  /** Belongs to no connection and begins none, or contradicts the one it belongs to. */
  invalid: 1,
  /** An IP packet that is not tracked: of a DHCP client, to an endpoint that is no server. */
  untracked: 2,
} as const;

const FORWARD = ctState(0, CtState.REPLY);
const REPLY = ctState(CtState.REPLY);

export function declareSides(d: AppDeclaration, subjects: Subjects): void {
  const { always, localEndpoints, placements } = placementsOf(d);

  d.entries('unjudged', always, (context) => {
    for (const { table, judge, next } of Object.values(SIDE)) {
      context.flow('global', {
        table,
        priority: PolicyPriority.unjudged,
        match: [judge.match(0)],
        goto: next,
      });
    }
  });

  // Also where nobody is judged: a receiver may be, before this would be held (controller/datapath/transition.ts).
  d.entries('untracked', always, (context) => {
    for (const { table } of Object.values(SIDE)) {
      context.flow('global', {
        table,
        priority: PolicyPriority.invalid,
        match: ctState(CtState.TRACKED | CtState.INVALID),
        drop: true,
        object: PolicyDrop.invalid,
      });
    }
    // Copies of flooded frames, for a receiver that is judged: ARP, neighbour discovery and whatever else is not tracked passes.
    const untracked = ctState(0, CtState.TRACKED);
    context.flow('global', {
      table: T.ingress_policy,
      priority: PolicyPriority.untrackedIp,
      match: [...untracked, oxm(F.eth_type, EtherType.ipv4)],
      drop: true,
      object: PolicyDrop.untracked,
    });
    context.flow('global', {
      table: T.ingress_policy,
      priority: PolicyPriority.untracked,
      match: untracked,
      goto: T.admit,
    });
  });

  d.entries({ name: 'senders', object: 'endpoint' }, localEndpoints, (context, endpoint) => {
    const { host, port, number } = endpoint;
    for (const direction of DIRECTIONS) {
      const subject = subjectNumber(subjects, context, endpoint.id, direction);
      if (subject === undefined) continue;
      context.flow(hostScope(host), {
        table: T.local_source,
        priority: Priority.host,
        match: [...inPort(port), ...(direction === 'out' ? FORWARD : REPLY)],
        apply: judged(direction, subject),
        goto: T.local_destination,
        object: number,
      });
    }
  });

  d.entries({ name: 'receivers', object: 'endpoint' }, localEndpoints, (context, endpoint) => {
    receiverEntries(
      context,
      endpoint,
      subjectNumber(subjects, context, endpoint.id, 'out'),
      subjectNumber(subjects, context, endpoint.id, 'in'),
    );
  });

  d.entries('subscriptions', placements, (context, placement, id) => {
    subscribe(context, d, subjects, placement, id);
  });
}

function judged(direction: Direction, subject: number) {
  const { judge, subject: register } = SIDE[direction];
  return [judge.set(1), register.set(subject)];
}

function receiverEntries(
  context: EntryContext,
  { host, mac, network, number, ipv4: addresses4, ipv6: addresses6 }: LocalEndpoint,
  sends: number | undefined,
  admits: number | undefined,
): void {
  const entry = (priority: number, match: Match, what: 'pass' | 'drop' | 'send' | 'admit'): void =>
    context.flow(hostScope(host), {
      table: T.local_destination,
      priority,
      match: [R.network.match(network.number), oxm(F.eth_dst, mac), ...match],
      ...(what === 'send' ? { apply: judged('out', sends as number) } : {}),
      ...(what === 'admit' ? { apply: judged('in', admits as number) } : {}),
      ...(what === 'drop' ? { drop: true as const } : { goto: T.egress_policy }),
      object: number,
    });
  if (admits !== undefined) entry(Priority.host, FORWARD, 'admit');
  if (sends === undefined && admits === undefined) return;
  // Answers belong to a connection that the endpoint began, from an address of its own.
  const answered = sends === undefined ? 'pass' : 'send';
  const answers = [...valid, ...REPLY];
  for (const address of addresses4) {
    entry(Priority.hostException, [...answers, ...ipv4, oxm(F.ct_nw_src, address)], answered);
  }
  for (const address of addresses6) {
    entry(Priority.hostException, [...answers, ...ipv6, oxm(F.ct_ipv6_src, address)], answered);
  }
  if (admits !== undefined) entry(Priority.host, REPLY, 'drop');
}

/** A switch holds the rules of the subjects of its endpoints, whether it has told their ports or not. */
function subscribe(
  context: EntryContext,
  d: AppDeclaration,
  subjects: Subjects,
  { host }: Placement,
  id: string,
): void {
  const datapathId = context.get(d.facts.hosts, host)?.datapathId;
  if (datapathId === undefined) return;
  for (const direction of DIRECTIONS) {
    const subject = subjectNumber(subjects, context, id, direction);
    if (subject === undefined) continue;
    context.subscribe(datapathId, subjectScope(subject));
    for (const policy of context.get(subjects.subjections, id)?.[direction]?.policies ?? []) {
      const summary = context.get(subjects.policies, policy);
      if (summary !== undefined) context.subscribe(datapathId, policyScope(summary));
    }
  }
}
