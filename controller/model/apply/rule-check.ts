/** Checks one rule: what its members say, and that together they can match something. */
import { SHORTHANDS, withoutShorthands } from '../canonical.js';
import type { IntentObject, PeerIntent, PolicyRule, RuleIntent } from '../intents.js';
import { addressBlock, covers, formatPrefix, isMulticast, parsePrefix, parsePrefixes } from '../prefixes.js';
import { formatProtocol, hasPorts, ICMP, ICMPV6, parsePort, parseProtocol } from '../services.js';
import { sameFact } from '../record-facts.js';
import type { Plan } from './plan.js';
import { checkReference } from './references.js';

/** A rule as it was given: by itself, or among those of a policy. */
export interface WantedRule {
  /** `acme/web/http` */
  readonly id: string;
  readonly rule: PolicyRule;
  readonly tenant: string;
  readonly policy: string;
  /** Where its problems are told, and the path of its members in there: `rules[2].`. */
  readonly object: IntentObject;
  readonly prefix: string;
}

/** A rule without errors, as it is stored. */
export interface CheckedRule extends WantedRule {
  readonly spec: RuleIntent;
  /** It was not there, or said something else. */
  readonly changed: boolean;
}

type Report = (member: string, code: string, message: string, fix: string) => void;

/**
 * Undefined when it has been reported. What is as it was has been checked before; what it names is there, unless the request
 * takes objects away (`recheck`).
 */
export function checkRule(plan: Plan, wanted: WantedRule, recheck: boolean): CheckedRule | undefined {
  const { id, rule, tenant, policy, object, prefix } = wanted;
  const { name, ...members } = withoutShorthands(rule);
  const spec: RuleIntent = { ...members, kind: 'Rule', tenant, policy, name };
  const changed = !sameFact(plan.state.get('rule', id)?.spec, spec);
  const errors = plan.problems.errors;
  const report: Report = (member, code, message, fix) =>
    plan.problems.error(object, `${prefix}${member}`, `rule.${code}`, message, fix);
  checkShorthands(rule, report);
  if (changed || recheck) checkPeers(plan, wanted, spec, checkProtocol(spec, report), report);
  return plan.problems.errors > errors ? undefined : { ...wanted, spec, changed };
}

function checkShorthands(rule: PolicyRule, report: Report): void {
  for (const list of ['from', 'to'] as const) {
    const given = SHORTHANDS.filter((one) => one.list === list && rule[one.member] !== undefined);
    const [first, second] = given;
    if (first === undefined || (second === undefined && rule[list] === undefined)) continue;
    // contiv means both, Weft's lists mean any of them: nobody shall have to guess.
    report(
      first.member,
      'peers',
      `and ${second?.member ?? list} cannot be together`,
      `name all of them in ${list}, where any of them matches`,
    );
  }
  if (rule.port !== undefined && rule.ports !== undefined)
    report('port', 'ports', 'and ports cannot be together', 'name all of them in ports');
}

function checkProtocol(
  { protocol: value, ports = [], icmpType, icmpCode }: RuleIntent,
  report: Report,
): number | undefined {
  const protocol = value === undefined ? undefined : parseProtocol(value);
  if (value !== undefined && protocol === undefined) {
    report(
      'protocol',
      'protocol',
      `"${value}" is no protocol`,
      'write tcp, udp, sctp, icmp, icmpv6 or a number up to 255',
    );
    return undefined;
  }
  const said = protocol === undefined ? 'no protocol' : `protocol ${formatProtocol(protocol)}`;
  if (ports.length > 0 && !hasPorts(protocol)) {
    report('ports', 'ports.protocol', `there are no ports with ${said}`, 'say protocol: tcp, udp or sctp');
  }
  for (const [index, port] of ports.entries()) {
    const parsed = parsePort(port);
    if ('wrong' in parsed)
      report(`ports[${index}]`, 'ports', parsed.wrong, "write 80, '8000-8010' or the name of a port");
  }
  if (icmpType !== undefined && protocol !== ICMP && protocol !== ICMPV6) {
    report('icmpType', 'icmp.protocol', `there is no ICMP type with ${said}`, 'say protocol: icmp or icmpv6');
  }
  if (icmpCode !== undefined && icmpType === undefined)
    report('icmpCode', 'icmp.type', 'needs icmpType: codes are those of a type', 'give icmpType as well');
  return protocol;
}

function checkPeers(
  plan: Plan,
  wanted: WantedRule,
  rule: RuleIntent,
  protocol: number | undefined,
  report: Report,
): void {
  const { tenant, object, prefix } = wanted;
  const direction = rule.direction ?? 'in';
  const [list, other] = direction === 'in' ? (['from', 'to'] as const) : (['to', 'from'] as const);
  if (rule[other] !== undefined) {
    report(
      other,
      'direction',
      `a rule with direction ${direction} has no ${other}: that is the members of the groups with its policy`,
      `write ${list}, or turn the direction round`,
    );
  }
  const families = new Set<4 | 6>();
  const blocks = new Set<4 | 6>();
  for (const [index, peer] of (rule[list] ?? []).entries()) {
    // contiv's members have no place of their own in the list.
    const place = rule[list] === undefined ? list : `${list}[${index}]`;
    const kinds = (['group', 'network', 'addressSet', 'cidr'] as const).filter(
      (kind) => peer[kind] !== undefined,
    );
    if (kinds.length !== 1) {
      report(
        place,
        'peers',
        kinds.length === 0 ? 'names nothing' : `names ${kinds.join(' and ')} at once`,
        'give each of group, network, addressSet and cidr an item of its own',
      );
      continue;
    }
    if (peer.except !== undefined && peer.cidr === undefined)
      report(`${place}.except`, 'peers', 'goes with cidr only', 'put the exceptions into an address set');
    for (const family of familiesOf(plan, tenant, peer)) families.add(family);
    if (peer.cidr !== undefined) {
      for (const family of checkBlock(peer.cidr, peer.except ?? [], place, report)) blocks.add(family);
    } else {
      const [kind = 'group'] = kinds;
      const name = peer[kind] as string;
      const target = ({ group: 'Group', network: 'Network', addressSet: 'AddressSet' } as const)[
        kind as 'group' | 'network' | 'addressSet'
      ];
      checkReference(plan, object, `${prefix}${place}.${kind}`, target, `${tenant}/${name}`);
    }
  }
  checkGroupAddresses(plan, wanted, rule, families, report);
  if (blocks.size === 2) {
    report(
      list,
      'families',
      'mixes IPv4 and IPv6',
      'write a rule for each, or an address set, which may hold both',
    );
  }
  const needed = protocol === ICMP ? 4 : protocol === ICMPV6 ? 6 : undefined;
  if (needed !== undefined && families.size > 0 && !families.has(needed)) {
    report(
      'protocol',
      'icmp.family',
      `${needed === 4 ? 'icmp is of IPv4' : 'icmpv6 is of IPv6'}, and ${list} is of ${needed === 4 ? 'IPv6' : 'IPv4'} only`,
      `write protocol: ${needed === 4 ? 'icmpv6' : 'icmp'}`,
    );
  }
}

/**
 * Multicast groups, of direction in. What is in an address set is looked at when all of the request is known (`checkGroupSets`).
 *
 * @param families of the other side, as far as they are certain; empty: either
 */
function checkGroupAddresses(
  plan: Plan,
  { tenant, object, prefix }: WantedRule,
  { direction, groupAddresses = [] }: RuleIntent,
  families: ReadonlySet<4 | 6>,
  report: Report,
): void {
  if (groupAddresses.length === 0) return;
  if (direction === 'out') {
    report(
      'groupAddresses',
      'direction',
      'is of rules with direction in: what a rule with direction out is sent to, its `to` says',
      'write to: [{cidr: …}], or direction: in',
    );
    return;
  }
  const found = new Set<4 | 6>();
  for (const [index, group] of groupAddresses.entries()) {
    const place = `groupAddresses[${index}]`;
    const { addressSet, cidr, except = [] } = group;
    if ((addressSet === undefined) === (cidr === undefined)) {
      report(
        place,
        'groupAddresses',
        cidr === undefined ? 'names nothing' : 'names addressSet and cidr at once',
        'give each of addressSet and cidr an item of its own',
      );
    } else if (cidr !== undefined) {
      for (const family of checkBlock(cidr, except, place, report)) found.add(family);
      const block = parsePrefix(cidr);
      if ('family' in block && !isMulticast(block)) {
        report(
          `${place}.cidr`,
          'groupAddresses',
          `${cidr} is not multicast`,
          'write a prefix in 224.0.0.0/4 or ff00::/8; for the members of the groups with the policy themselves leave it out',
        );
      }
    } else {
      if (except.length > 0)
        report(`${place}.except`, 'groupAddresses', 'goes with cidr only', 'put the exceptions into the set');
      checkReference(plan, object, `${prefix}${place}.addressSet`, 'AddressSet', `${tenant}/${addressSet}`);
      for (const family of familiesOf(plan, tenant, group)) found.add(family);
    }
  }
  if (families.size > 0 && found.size > 0 && ![...found].some((family) => families.has(family))) {
    report(
      'groupAddresses',
      'families',
      'is of another family than from: the rule would match nothing',
      'name groups of the family of from, or leave from out',
    );
  }
}

/** An address set that rules name as multicast groups holds nothing else, whichever of the two the request changes. */
export function checkGroupSets(plan: Plan): void {
  const inRequest = new Map(plan.rules.map((rule) => [rule.id, rule]));
  const outsider = (set: string): string | undefined =>
    plan.state.get('addressSet', set)?.spec.addresses?.find((text) => {
      const prefix = parsePrefix(text);
      return 'family' in prefix && !isMulticast(prefix);
    });
  for (const { spec, object, prefix, changed } of plan.rules) {
    if (!changed) continue;
    for (const [index, { addressSet }] of (spec.groupAddresses ?? []).entries()) {
      const address = addressSet === undefined ? undefined : outsider(`${spec.tenant}/${addressSet}`);
      if (address === undefined) continue;
      plan.problems.error(
        object,
        `${prefix}groupAddresses[${index}].addressSet`,
        'rule.groupAddresses',
        `address set ${spec.tenant}/${addressSet} has ${address}, which is not multicast`,
        'name a set of prefixes in 224.0.0.0/4 and ff00::/8',
      );
    }
  }
  for (const [id, set] of plan.wanted.AddressSet) {
    const address = outsider(id);
    if (address === undefined) continue;
    for (const user of plan.state.indexes.policy.users({ table: 'addressSet', id }, 'rule')) {
      const groups = plan.state.get('rule', user)?.spec.groupAddresses ?? [];
      const isGroups = groups.some(({ addressSet }) => addressSet === set.name);
      if (!isGroups || inRequest.get(user)?.changed === true) continue;
      plan.problems.error(
        set,
        'addresses',
        'addressSet.multicast',
        `has ${address}, which is not multicast, and rule ${user} names the set as groupAddresses`,
        'remove it, or make a set of its own for the rule',
      );
    }
  }
}

/** Families of the addresses that a peer can have, as far as that is certain. */
function familiesOf(
  plan: Plan,
  tenant: string,
  { network, addressSet, cidr }: PeerIntent,
): readonly (4 | 6)[] {
  if (cidr !== undefined) return parsePrefixes([cidr]).map(({ family }) => family);
  if (addressSet !== undefined) {
    const spec = plan.state.get('addressSet', `${tenant}/${addressSet}`)?.spec;
    const found = new Set(parsePrefixes(spec?.addresses).map(({ family }) => family));
    // An empty one may get addresses of either.
    return found.size === 0 ? [4, 6] : [...found];
  }
  const record = network === undefined ? undefined : plan.state.get('network', `${tenant}/${network}`);
  if (record === undefined) return [4, 6];
  return [
    ...(record.ipv4 === undefined ? [] : [4 as const]),
    ...(record.ipv6 === undefined ? [] : [6 as const]),
  ];
}

/** The families of a block that can be read. */
function checkBlock(cidr: string, except: readonly string[], place: string, report: Report): (4 | 6)[] {
  const block = parsePrefix(cidr);
  if (!('family' in block)) {
    report(`${place}.cidr`, 'cidr', block.message, block.fix);
    return [];
  }
  for (const [index, text] of except.entries()) {
    const exception = parsePrefix(text);
    const member = `${place}.except[${index}]`;
    if (!('family' in exception)) report(member, 'cidr', exception.message, exception.fix);
    else if (exception.family !== block.family)
      report(member, 'families', `${text} is of another family than ${cidr}`, 'remove it');
    else if (!covers(block, exception) && !covers(exception, block))
      report(
        member,
        'except',
        `${text} is outside of ${formatPrefix(block)}`,
        'remove it, or correct the prefix',
      );
  }
  const { prefixes } = addressBlock([block], parsePrefixes(except));
  if (prefixes.length === 0) {
    report(
      `${place}.except`,
      'nothing',
      `takes all of ${formatPrefix(block)} away: the rule would match nothing`,
      'correct the exceptions, or remove the rule',
    );
  }
  return [block.family];
}
