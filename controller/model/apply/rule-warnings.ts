/** What is allowed and yet hardly meant: rules that match nothing now, that others decide before, that name ports nobody has. */
import type { Peer } from '../facts.js';
import { isEmptyGroup } from '../membership.js';
import { addressSetFact, ruleFact } from '../policy-facts.js';
import { parsePort, parseProtocol } from '../services.js';
import type { Plan } from './plan.js';
import type { CheckedRule } from './rule-check.js';
import { Shadows } from './shadows.js';

/** Told one by one; of more only their number. */
const MOST_TOLD = 100;

/** Of a policy with more rules than that, only those are looked at that the request changes. */
const LARGE_POLICY = 100;

/** TCP, and the echoes of ICMP and ICMPv6: to connection tracking their answers make sense with a connection only. */
const ANSWERED: ReadonlySet<number> = new Set([1, 6, 58]);

const isLarge = ({ state }: Plan, { tenant, policy }: CheckedRule): boolean =>
  state.indexes.policy.rulesOfPolicy.get(`${tenant}/${policy}`).size > LARGE_POLICY;

/** After everything else has been worked out. */
export function warnOfRules(plan: Plan): void {
  let told = 0;
  const warn = (
    { object, prefix }: CheckedRule,
    member: string,
    code: string,
    message: string,
    fix: string,
  ) => {
    told += 1;
    const path = `${prefix}${member}`.replace(/\.$/, '');
    if (told <= MOST_TOLD) plan.problems.warn(object, path, `rule.${code}`, message, fix);
  };
  const rules = plan.rules.filter((rule) => rule.changed || !isLarge(plan, rule));
  const shadows = new Shadows(plan, rules);
  for (const rule of rules) {
    const record = plan.state.get('rule', rule.id);
    if (record === undefined) continue;
    const fact = ruleFact(record);
    for (const [member, peers] of [
      [fact.direction === 'in' ? 'from' : 'to', fact.peers],
      ['groupAddresses', fact.groupAddresses ?? []],
    ] as const) {
      const nothing = matchesNobody(plan, peers);
      if (nothing === undefined) continue;
      warn(
        rule,
        member,
        'nobody',
        `matches nothing now: ${nothing}`,
        'it holds as soon as there is somebody',
      );
    }
    for (const name of portsOfNobody(plan, rule)) {
      warn(
        rule,
        'ports',
        'ports.unknown',
        `no endpoint of tenant ${rule.tenant} has a port named "${name}"`,
        'give endpoints ports: {name: number}, or write the number',
      );
    }
    if (fact.stateless && fact.services.some(({ protocol }) => ANSWERED.has(protocol))) {
      warn(
        rule,
        'stateless',
        'stateless.answers',
        `answers do not get past policies: without the connection Open vSwitch takes those of ${rule.spec.protocol} for invalid`,
        'leave out stateless, or use it for udp',
      );
    }
    for (const { code, message, fix } of shadows.of(fact)) warn(rule, '', code, message, fix);
  }
  if (told > MOST_TOLD) {
    plan.problems.add({
      severity: 'warning',
      code: 'rule.more',
      message: `${told - MOST_TOLD} more warnings about rules are not told`,
      fix: 'correct these first',
    });
  }
}

/** Why nobody is in any of these; undefined when somebody is, or may be, or there are none to be in. */
function matchesNobody(plan: Plan, peers: readonly Peer[]): string | undefined {
  const { state } = plan;
  const reasons: string[] = [];
  for (const peer of peers) {
    if (peer.kind === 'block') return undefined;
    if (peer.kind === 'group') {
      if (!isEmptyGroup(state, peer.id)) return undefined;
      reasons.push(`group ${peer.id} has no members`);
    } else if (peer.kind === 'addressSet') {
      const set = state.get('addressSet', peer.id);
      if (set === undefined || addressSetFact(set).prefixes.length > 0) return undefined;
      reasons.push(`address set ${peer.id} is empty`);
    } else {
      const network = state.get('network', peer.id);
      if (network?.ipv4 !== undefined || network?.ipv6 !== undefined) return undefined;
      if (state.indexes.endpointsOfNetwork.get(peer.id).size > 0) return undefined;
      reasons.push(`network ${peer.id} has neither endpoints nor subnets`);
    }
  }
  return reasons.length === 0 ? undefined : reasons.join(', ');
}

function portsOfNobody({ state }: Plan, { tenant, spec }: CheckedRule): string[] {
  if (spec.ports === undefined || parseProtocol(spec.protocol ?? '') === undefined) return [];
  const names = spec.ports.map(parsePort).flatMap((port) => ('name' in port ? [port.name] : []));
  return names.filter((name) => state.indexes.policy.withPortName(tenant, name).size === 0);
}
