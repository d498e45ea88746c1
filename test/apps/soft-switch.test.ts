/** Tables of hosts without OpenFlow: what rows they hold, and what a change costs. */
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { rangesOf } from '../../apps/soft-switch/ranges.js';
import { type DesiredChanges, DesiredTables } from '../../controller/datapath/desired.js';
import type { RuleFact, TableRow } from '../../controller/model/facts.js';
import { hostName, setEndpoint, setHost, setNetwork, vtep } from './facts.js';

const NETWORK = 'acme/web';

/** Host 1 speaks OpenFlow; 2 and 3 are Linux bridges. */
function cluster(): DesiredTables {
  const desired = new DesiredTables({ pipeline, apps });
  desired.facts.tenants.set('acme', { name: 'acme', number: 1 });
  setHost(desired.facts, 1);
  for (const number of [2, 3]) setSoftHost(desired, number);
  setNetwork(desired.facts, NETWORK, 7, 'vxlan', { ipv4: { address: 0x0a000000, prefixLength: 24 } });
  return desired;
}

function setSoftHost({ facts }: DesiredTables, number: number): void {
  const name = hostName(number);
  facts.hosts.set(name, { name, number, softSwitch: 'linux-bridge', vtepIpv4: vtep(number) });
}

function rows(desired: DesiredTables, host: number): TableRow[] {
  return [...desired.hostTables.of(hostName(host))].map(({ row }) => row);
}

function kinds(desired: DesiredTables, host: number): string[] {
  return rows(desired, host)
    .map(({ kind }) => kind)
    .sort();
}

const runsOf = ({ settlement }: DesiredChanges): number =>
  [...settlement.runs.values()].reduce((sum, count) => sum + count, 0);

t.test('a host without OpenFlow gets the networks that it carries, and no others', async (t) => {
  const desired = cluster();
  setNetwork(desired.facts, 'acme/other', 8, 'vxlan');
  setEndpoint(desired.facts, NETWORK, 1, { host: 1, port: 1 });
  setEndpoint(desired.facts, 'acme/other', 9, { host: 1, port: 9 });
  desired.settle();
  t.same(rows(desired, 2), [], 'nothing lives there');

  setEndpoint(desired.facts, NETWORK, 2, { host: 2, port: 2 });
  const changes = desired.settle();
  t.same(kinds(desired, 2), ['endpoint', 'endpoint', 'network', 'peer', 'peer']);
  t.same([...changes.rows.keys()], ['h2'], 'the other has nothing new');
  t.match(
    rows(desired, 2).find((row) => row.kind === 'endpoint' && row.host === 'h1'),
    {
      network: 7,
      endpoint: 'acme/web/e1',
      mac: '02:02:0a:00:00:01',
      addresses: ['10.0.0.1', 'fe80::2:aff:fe00:1'],
    },
  );
  t.match(
    rows(desired, 2).find((row) => row.kind === 'peer' && row.host === 'h1'),
    { vtepIp: '10.254.0.1' },
  );
  t.match(
    rows(desired, 2).find(({ kind }) => kind === 'network'),
    { tag: 7, subnets: ['10.0.0.0/24'] },
  );

  desired.facts.endpoints.delete('acme/web/e2');
  desired.settle();
  t.same(rows(desired, 2), [], 'its last endpoint has left');
  t.equal(desired.conflicts().length, 0);
});

t.test(
  'a new endpoint is one row for each host that carries its network, whatever their number',
  async (t) => {
    const cost = (hosts: number): { runs: number; rows: number } => {
      const desired = cluster();
      for (let number = 10; number < 10 + hosts; number++) {
        setSoftHost(desired, number);
        setEndpoint(desired.facts, NETWORK, number, { host: number, port: number });
      }
      desired.settle();
      setEndpoint(desired.facts, NETWORK, 5, { host: 10, port: 5 });
      const changes = desired.settle();
      t.equal(changes.rows.size, hosts);
      for (const keys of changes.rows.values()) t.same([...keys], ['network 7 endpoint acme/web/e5']);
      return { runs: runsOf(changes), rows: changes.rows.size };
    };
    const few = cost(3);
    const many = cost(30);
    t.equal(many.runs, few.runs, 'derivations');
  },
);

t.test('a cluster without such hosts derives no rows', async (t) => {
  const desired = new DesiredTables({ pipeline, apps });
  setHost(desired.facts, 1);
  setNetwork(desired.facts, NETWORK, 7, 'vxlan');
  setEndpoint(desired.facts, NETWORK, 1, { host: 1, port: 1 });
  t.equal(desired.settle().rows.size, 0);
});

function rule(name: string, number: number, more: Partial<RuleFact>): RuleFact {
  return {
    id: `acme/p/${name}`,
    policy: 'acme/p',
    name,
    number,
    direction: 'in',
    priority: 1,
    position: 0,
    action: 'allow',
    log: false,
    stateless: false,
    peers: [],
    services: [],
    ...more,
  };
}

t.test(
  'policy: who is judged as whom, the rules in the order that decides, the classes they mention',
  async (t) => {
    const desired = cluster();
    const { facts } = desired;
    facts.policies.set('acme/p', {
      id: 'acme/p',
      tenant: 'acme',
      name: 'p',
      number: 1,
      tier: 10,
      defaultIn: 'deny',
    });
    const group = { tenant: 'acme', networks: [] };
    facts.groups.set('acme/web', {
      ...group,
      id: 'acme/web',
      name: 'web',
      number: 1,
      endpoints: [`${NETWORK}/e2`],
      policies: ['acme/p'],
    });
    facts.groups.set('acme/db', {
      ...group,
      id: 'acme/db',
      name: 'db',
      number: 2,
      endpoints: [`${NETWORK}/e1`],
      policies: [],
    });
    const tcp = (port: number) => [{ protocol: 6, ports: [{ first: port, last: port }] }];
    for (const one of [
      rule('low', 1, { peers: [{ kind: 'group', id: 'acme/db' }], services: tcp(80) }),
      rule('deny', 2, { action: 'deny', priority: 5, services: tcp(81) }),
      rule('high', 3, { priority: 5, services: [{ protocol: 6, portNames: ['http'] }] }),
      rule('unknown name', 4, { services: [{ protocol: 6, portNames: ['nobody'] }] }),
      rule('groups', 5, {
        groupAddresses: [{ kind: 'block', block: { prefixes: [], except: [] } }],
      }),
    ])
      facts.rules.set(one.id, one);
    setEndpoint(facts, NETWORK, 1, { host: 1, port: 1 });
    setEndpoint(facts, NETWORK, 2, { host: 2, port: 2, namedPorts: { http: { protocol: 6, port: 8080 } } });
    setEndpoint(facts, NETWORK, 3, { host: 3, port: 3 });
    desired.settle();

    const [judged] = rows(desired, 2).filter((row) => row.kind === 'judged');
    const [subject] = rows(desired, 2).filter((row) => row.kind === 'subject');
    t.match(judged, {
      endpoint: `${NETWORK}/e2`,
      network: 7,
      in: subject?.kind === 'subject' ? subject.subject : 0,
    });
    t.notOk(judged?.kind === 'judged' && judged.out, 'nothing is said of what it may send');
    t.match(subject, {
      direction: 'in',
      default: 'deny',
      rules: [
        { rule: 2, action: 'deny', peers: [] },
        { rule: 3, services: [{ protocol: 6, ports: [{ first: 8080, last: 8080 }] }] },
        { rule: 1, peers: ['g:acme/db'] },
      ],
    });
    t.equal(
      subject?.kind === 'subject' && subject.rules.length,
      3,
      'no rule of unknown names, none of multicast groups',
    );
    t.match(
      rows(desired, 2).filter(({ kind }) => kind === 'member'),
      [{ class: 'g:acme/db', endpoint: `${NETWORK}/e1`, addresses: ['10.0.0.1', /fe80/] }],
    );
    t.notOk(kinds(desired, 3).includes('subject'), 'nobody there is judged');

    setEndpoint(facts, NETWORK, 4, { host: 1, port: 4, groups: ['acme/db'] });
    const changes = desired.settle();
    t.same(
      [...(changes.rows.get('h2') ?? [])].sort(),
      ['class g:acme/db acme/web/e4', 'network 7 endpoint acme/web/e4'],
      'one that joins a group is one row more',
    );

    facts.tenants.set('acme', { name: 'acme', number: 1, defaultAction: 'deny' });
    desired.settle();
    const defaults = rows(desired, 3).flatMap((row) =>
      row.kind === 'subject' ? [`${row.direction} ${row.default}`] : [],
    );
    t.same(defaults.sort(), ['in deny', 'out deny'], 'everybody is judged where the tenant denies');
    t.equal(desired.conflicts().length, 0);
  },
);

t.test('blocks of addresses without their exceptions, as ranges', async (t) => {
  const prefix = (address: number, length: number) => ({ family: 4, address, length }) as const;
  t.same(
    rangesOf({
      prefixes: [
        prefix(0x0a000000, 8),
        prefix(0x0b000000, 8),
        { family: 6, address: 1n << 120n, length: 128 },
      ],
      except: [prefix(0x0a010000, 16), prefix(0x0b000000, 9)],
    }),
    [
      { first: '10.0.0.0', last: '10.0.255.255' },
      { first: '10.2.0.0', last: '10.255.255.255' },
      { first: '11.128.0.0', last: '11.255.255.255' },
      { first: '100::', last: '100::' },
    ],
  );
  t.same(rangesOf({ prefixes: [prefix(0x0a000000, 16)], except: [prefix(0x0a000000, 8)] }), []);
});
