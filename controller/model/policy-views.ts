/** Objects of policy and quality of service as the API and the command line see them. */
import type { RateLimit } from './facts.js';
import type { PeerIntent, PolicyRule } from './intents.js';
import { memberCount, membersOf } from './membership.js';
import { addressSetFact, DEFAULT_TIER, qosProfileFact, ruleFact } from './policy-facts.js';
import { formatBurst, formatRate } from './rates.js';
import type {
  AddressSetRecord,
  GroupRecord,
  PolicyRecord,
  QosProfileRecord,
  RuleRecord,
  TierRecord,
} from './records.js';
import { formatServices } from './services.js';
import type { State } from './state.js';
import type { ObjectViews } from './types.js';

export const tierView = (state: State, name: string, { spec }: TierRecord): ObjectViews['Tier'] => ({
  kind: 'Tier',
  name,
  spec,
  status: { policies: state.indexes.policy.users({ table: 'tier', id: name }, 'policy').size },
});

const rateText = ({ kilobitsPerSecond, burstKilobits }: RateLimit): string =>
  `${formatRate(kilobitsPerSecond)}, burst ${formatBurst(burstKilobits)}`;

export function profileView(state: State, name: string, record: QosProfileRecord): ObjectViews['QosProfile'] {
  const fact = qosProfileFact(record);
  const users = (table: 'group' | 'network' | 'endpoint') =>
    state.indexes.policy.users({ table: 'qosProfile', id: name }, table).size;
  return {
    kind: 'QosProfile',
    name,
    spec: record.spec,
    status: {
      number: record.number,
      ...(fact.out === undefined ? {} : { out: rateText(fact.out) }),
      ...(fact.in === undefined ? {} : { in: rateText(fact.in) }),
      ...(fact.dscp === undefined ? {} : { dscp: fact.dscp }),
      ...(fact.guaranteedKilobitsPerSecond === undefined
        ? {}
        : { guaranteed: formatRate(fact.guaranteedKilobitsPerSecond) }),
      groups: users('group'),
      networks: users('network'),
      endpoints: users('endpoint'),
    },
  };
}

export function addressSetView(
  state: State,
  name: string,
  record: AddressSetRecord,
): ObjectViews['AddressSet'] {
  const { prefixes, except } = addressSetFact(record);
  return {
    kind: 'AddressSet',
    name,
    spec: record.spec,
    status: {
      number: record.number,
      prefixes: prefixes.length,
      except: except.length,
      rules: state.indexes.policy.users({ table: 'addressSet', id: name }, 'rule').size,
    },
  };
}

export const groupView = (state: State, name: string, record: GroupRecord): ObjectViews['Group'] => ({
  kind: 'Group',
  name,
  spec: record.spec,
  status: {
    number: record.number,
    members: memberCount(state, name),
    rules: state.indexes.policy.users({ table: 'group', id: name }, 'rule').size,
  },
});

const tierOf = (state: State, policy: PolicyRecord | undefined): number => {
  const tier = policy?.spec.tier;
  return (tier === undefined ? undefined : state.get('tier', tier)?.spec.priority) ?? DEFAULT_TIER;
};

/** Rules of a policy in their order. */
export function rulesInOrder(state: State, policy: string): RuleRecord[] {
  const rules: RuleRecord[] = [];
  for (const id of state.indexes.policy.rulesOfPolicy.get(policy)) {
    const rule = state.get('rule', id);
    if (rule !== undefined) rules.push(rule);
  }
  return rules.sort((a, b) => a.position - b.position || (a.spec.name < b.spec.name ? -1 : 1));
}

/** A rule as it stands among those of its policy. */
function ruleInPolicy({ spec }: RuleRecord): PolicyRule {
  const { kind: _, tenant: __, policy: ___, name, ...members } = spec;
  return { name, ...members };
}

export function policyView(state: State, name: string, record: PolicyRecord): ObjectViews['Policy'] {
  const rules = rulesInOrder(state, name);
  const groups = [...state.indexes.policy.users({ table: 'policy', id: name }, 'group')].sort();
  return {
    kind: 'Policy',
    name,
    spec: { ...record.spec, rules: rules.map(ruleInPolicy) },
    status: {
      number: record.number,
      tier: tierOf(state, record),
      rules: rules.length,
      groups,
      subjects: subjectCount(state, groups),
    },
  };
}

function subjectCount(state: State, groups: readonly string[]): number {
  if (groups.length === 1) return memberCount(state, groups[0] as string);
  const subjects = new Set<string>();
  for (const group of groups) for (const endpoint of membersOf(state, group)) subjects.add(endpoint);
  return subjects.size;
}

export function ruleView(state: State, name: string, record: RuleRecord): ObjectViews['Rule'] {
  const { spec, number, position } = record;
  const { direction, priority, action, services } = ruleFact(record);
  const policy = state.get('policy', `${spec.tenant}/${spec.policy}`);
  return {
    kind: 'Rule',
    name,
    spec,
    status: {
      number,
      position,
      tier: tierOf(state, policy),
      direction,
      priority,
      action,
      peers: peersText((direction === 'in' ? spec.from : spec.to) ?? []),
      services: formatServices(services),
      ...(spec.groupAddresses === undefined ? {} : { groupAddresses: peersText(spec.groupAddresses) }),
    },
  };
}

function peersText(peers: readonly PeerIntent[]): string {
  if (peers.length === 0) return 'any';
  return peers
    .map(({ group, network, addressSet, cidr, except = [] }) => {
      if (group !== undefined) return `group ${group}`;
      if (network !== undefined) return `network ${network}`;
      if (addressSet !== undefined) return `set ${addressSet}`;
      return except.length === 0 ? cidr : `${cidr} except ${except.join(' ')}`;
    })
    .join(', ');
}
