/** What policy costs, counted: derivations and entries of one change at 100, 1,000 and 10,000 rules, and entries beside the naive product. */
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { tableOfKey } from '../../controller/datapath/canonical.js';
import { T } from '../../apps/pipeline.js';
import { type DesiredChanges, DesiredTables } from '../../controller/datapath/desired.js';
import type { RuleFact } from '../../controller/model/facts.js';
import { datapathId, setEndpoint, setHost, setNetwork } from './facts.js';

const RULES_PER_GROUP = 10;
const ENDPOINTS_PER_GROUP = 2;
const PORTS = 11;

const NETWORK = 'acme/web';

function settle(desired: DesiredTables): DesiredChanges {
  const changes = desired.settle();
  const [failure] = changes.settlement.failures;
  if (failure !== undefined) throw failure.error;
  if (changes.conflicts.length + changes.settlement.conflicts.length > 0) throw new Error('a conflict');
  return changes;
}

function setMember(desired: DesiredTables, number: number, group: number): void {
  setEndpoint(desired.facts, NETWORK, number, {
    host: 1 + (number % hostsOf(desired)),
    port: 1 + Math.floor(number / hostsOf(desired)),
    labels: { app: `a${group}` },
  });
}

function hostsOf({ facts }: DesiredTables): number {
  return facts.hosts.size === 0 ? Number.NaN : [...facts.hosts.entries()].length;
}

/** A rule of a group's policy: from two other groups (the last one: from everybody), to a port and a range of eleven. */
function ruleOf(groups: number, group: number, position: number): RuleFact {
  const other = (step: number) => ({
    kind: 'group' as const,
    id: `acme/g${(group + step * (position + 1)) % groups}`,
  });
  const port = 1000 + position * 100;
  return {
    id: `acme/p${group}/r${position}`,
    policy: `acme/p${group}`,
    name: `r${position}`,
    number: group * 100 + position + 1,
    direction: 'in',
    priority: 1,
    position,
    action: position % 5 === 4 ? 'deny' : 'allow',
    log: false,
    stateless: false,
    peers:
      position === RULES_PER_GROUP - 1 ? [{ kind: 'group', id: 'acme/everybody' }] : [other(7), other(13)],
    services: [
      {
        protocol: 6,
        ports: [
          { first: port, last: port + PORTS - 1 },
          { first: 80, last: 80 },
        ],
      },
    ],
  };
}

/** Groups by label, each with a policy of ten rules. */
function world(groups: number): DesiredTables {
  const desired = new DesiredTables({ pipeline, apps });
  const { facts } = desired;
  facts.tenants.set('acme', { name: 'acme', number: 1 });
  setNetwork(facts, NETWORK, 1, 'vxlan', { ipv4: { address: 0x0a000000, prefixLength: 8 } });
  for (let host = 1; host <= Math.max(10, groups / 10); host++) setHost(facts, host);
  settle(desired);
  for (let group = 0; group < groups; group++) {
    setGroup(desired, `g${group}`, group + 1, 'app', `a${group}`, [`acme/p${group}`]);
    const id = `acme/p${group}`;
    const name = `p${group}`;
    facts.policies.set(id, { id, tenant: 'acme', name, number: group + 1, tier: 10, defaultIn: 'deny' });
    for (let i = 0; i < RULES_PER_GROUP; i++) {
      const rule = ruleOf(groups, group, i);
      facts.rules.set(rule.id, rule);
    }
  }
  const selector = { matchLabels: {}, expressions: [] };
  const everybody = { id: 'acme/everybody', tenant: 'acme', name: 'everybody', number: 1_000_000 };
  facts.groups.set(everybody.id, { ...everybody, endpoints: [], networks: [], selector, policies: [] });
  for (let number = 1; number <= groups * ENDPOINTS_PER_GROUP; number++)
    setMember(desired, number, number % groups);
  return desired;
}

function setGroup(
  { facts }: DesiredTables,
  name: string,
  number: number,
  label: string,
  value: string,
  policies: readonly string[],
): void {
  const selector = { matchLabels: { [label]: value }, expressions: [] };
  const id = `acme/${name}`;
  facts.groups.set(id, { id, tenant: 'acme', name, number, endpoints: [], networks: [], selector, policies });
}

const JUDGING = new Set([T.egress_policy.id, T.ingress_policy.id]);

/** Distinct entries of the tables of rules in all scopes, and the most that one switch holds. */
function ruleEntries(desired: DesiredTables): { all: number; most: number } {
  let all = 0;
  for (const { entries } of desired.scopes.scopes) {
    for (const { entry } of entries.values()) if (entry.kind === 'flow' && JUDGING.has(entry.table)) all++;
  }
  let most = 0;
  for (let host = 1; host <= Math.min(5, hostsOf(desired)); host++) {
    let count = 0;
    for (const entry of desired.entries(datapathId(host)))
      if (entry.kind === 'flow' && JUDGING.has(entry.table)) count++;
    most = Math.max(most, count);
  }
  return { all, most };
}

interface Work {
  readonly runs: Readonly<Record<string, number>>;
  readonly entries: number;
}

function workOf({ settlement, entries }: DesiredChanges): Work {
  let changed = 0;
  for (const keys of entries.values()) changed += keys.size;
  const runs = [...settlement.runs].filter(([name]) => name.startsWith('policy.'));
  return { runs: Object.fromEntries(runs), entries: changed };
}

const total = ({ runs }: Work): number => Object.values(runs).reduce((sum, count) => sum + count, 0);

t.test('one change at 100, 1,000 and 10,000 rules', async (t) => {
  const works = [10, 100, 1000].map((groups) => {
    const start = performance.now();
    const desired = world(groups);
    settle(desired);
    const seconds = (performance.now() - start) / 1000;
    const { all, most } = ruleEntries(desired);
    const peers = (RULES_PER_GROUP - 1) * 2 * ENDPOINTS_PER_GROUP + groups * ENDPOINTS_PER_GROUP;
    const naive = groups * ENDPOINTS_PER_GROUP * peers * (PORTS + 1);
    const heap = Math.round(process.memoryUsage().heapUsed / 2 ** 20);
    t.comment(
      `${groups * RULES_PER_GROUP} rules, ${groups * ENDPOINTS_PER_GROUP} endpoints: ${seconds.toFixed(2)} s, ${heap} MB, ` +
        `${all} entries of rules (at most ${most} on a switch); addresses by ports: ${naive}`,
    );
    t.ok(all * 5 < naive, 'a small part of the naive product');

    const { facts } = desired;
    const rule = facts.rules.get('acme/p3/r0')!;
    const next = groups * ENDPOINTS_PER_GROUP + 1;
    const steps: Record<string, () => void> = {
      'a rule opens another port': () =>
        void facts.rules.set(rule.id, {
          ...rule,
          services: [{ protocol: 6, ports: [{ first: 9, last: 9 }] }],
        }),
      'a rule logs': () => void facts.rules.set('acme/p3/r1', { ...ruleOf(groups, 3, 1), log: true }),
      'a rule comes': () =>
        void facts.rules.set('acme/p3/new', {
          ...ruleOf(groups, 3, 1),
          services: [{ protocol: 17 }],
          id: 'acme/p3/new',
          number: 99_999_999,
        }),
      'a rule goes': () => void facts.rules.delete('acme/p3/new'),
      'an endpoint joins what exists': () => setMember(desired, next, 4),
      'an endpoint goes': () => void facts.endpoints.delete(`${NETWORK}/e${next}`),
      'an endpoint changes its group': () => setMember(desired, 5, 6),
    };
    const result: Record<string, Work> = {};
    for (const [name, step] of Object.entries(steps)) {
      step();
      result[name] = workOf(settle(desired));
    }
    return result;
  });
  const [small, middle, large] = works;
  for (const name of Object.keys(small!)) {
    const [a, b, c] = [small![name]!, middle![name]!, large![name]!];
    t.comment(
      `${name}: ${total(a)}, ${total(b)}, ${total(c)} runs; ${a.entries}, ${b.entries}, ${c.entries} entries`,
    );
    t.strictSame(c, b, `${name}: the same work at 10,000 rules as at 1,000`);
  }
  const joins = large!['an endpoint joins what exists']!;
  t.equal(
    joins.runs['policy.rules'],
    undefined,
    'no rule is looked at for an endpoint that joins what exists',
  );
  t.equal(large!['a rule opens another port']!.runs['policy.rules'], 1, 'a rule makes its own entries');
});

/** `networks` networks of a tenant, each with a server and a client; in the first `judging` of them servers admit clients only. */
function dividedWorld(networks: number, judging: number): DesiredTables {
  const desired = new DesiredTables({ pipeline, apps });
  const { facts } = desired;
  facts.tenants.set('acme', { name: 'acme', number: 1 });
  setHost(facts, 1);
  setGroup(desired, 'servers', 1, 'app', 'server', ['acme/p']);
  setGroup(desired, 'clients', 2, 'app', 'client', []);
  facts.policies.set('acme/p', { id: 'acme/p', tenant: 'acme', name: 'p', number: 1, tier: 10 });
  facts.rules.set('acme/p/r', {
    ...ruleOf(1, 0, 0),
    id: 'acme/p/r',
    policy: 'acme/p',
    peers: [{ kind: 'group', id: 'acme/clients' }],
  });
  for (let network = 1; network <= networks; network++) {
    const id = `acme/n${network}`;
    const subnet = 0x0a000000 + network * 256;
    setNetwork(facts, id, network, 'vlan', { ipv4: { address: subnet, prefixLength: 24 } });
    const member = (number: number, app: string) =>
      setEndpoint(facts, id, network * 100 + number, {
        host: 1,
        port: network * 100 + number,
        ipv4: [subnet + number],
        labels: { app },
      });
    if (network <= judging) member(1, 'server');
    member(2, 'client');
  }
  return desired;
}

const IDENTITY_TABLES = [T.source_identity.id, T.destination_identity.id];

const identityEntries = ({ entries }: DesiredChanges): number =>
  [...entries.values()]
    .flatMap((changes) => [...changes.keys()])
    .filter((key) => IDENTITY_TABLES.includes(tableOfKey(key) ?? -1)).length;

t.test('a member of a group is recognised in the networks that ask for it, for no more', async (t) => {
  const works = [
    [2, 1],
    [40, 1],
    [40, 5],
  ].map(([networks = 0, judging = 0]) => {
    const desired = dividedWorld(networks, judging);
    settle(desired);
    const last = networks;
    setEndpoint(desired.facts, `acme/n${last}`, 7777, {
      ipv4: [0x0a000000 + last * 256 + 77],
      labels: { app: 'client' },
    });
    const joins = settle(desired);
    const work = { ...workOf(joins), identities: identityEntries(joins) };
    desired.facts.endpoints.delete(`acme/n${last}/e7777`);
    t.equal(identityEntries(settle(desired)), work.identities, 'and goes from all of them');
    return work;
  });
  const [two, forty, five] = works;
  t.strictSame(two, forty, 'other networks cost nothing');
  t.equal(two?.identities, 2, 'its address, as source and as destination, in the one network that judges');
  t.equal(five?.identities, 10, 'in each of five');
  t.equal(five?.runs['policy.endpoint addresses'], 1);
  t.equal(five?.runs['policy.rules'], undefined);
  const [a, b] = [two, five].map((work) => total(work!));
  t.comment(`runs: ${a} with one judging network, ${b} with five`);
  t.ok(b! - a! <= 8, 'two derivations more for each network more');
});
