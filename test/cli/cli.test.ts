// The weft command against a server that answers what the test says: output, exit codes, what is sent. And the pages made
// from the code.
import { execFile } from 'node:child_process';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { outdatedPages } from '../../docs/generate.js';
import { fabricReport } from '../support/fabric-report.js';
import { kubernetesReport } from '../support/kubernetes-report.js';

interface Run {
  readonly exit: number;
  readonly out: string;
  readonly error: string;
}

async function weft(server: string, ...args: string[]): Promise<Run> {
  return await new Promise((resolve) => {
    const environment = { ...process.env, WEFT_SERVER: server, NODE_OPTIONS: '' };
    execFile('cli/weft', args, { env: environment }, (error, out, errorText) => {
      resolve({ exit: error === null ? 0 : Number(error.code), out, error: errorText });
    });
  });
}

interface Answer {
  readonly status?: number;
  readonly body: unknown;
  /** By path, instead of `body`. */
  readonly bodies?: Readonly<Record<string, unknown>>;
}

/** A server that gives `answer` to everything and remembers what it was asked. */
async function answering(t: Test, answer: Answer) {
  const requests: { method: string; url: URL; body: string }[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const url = new URL(request.url ?? '/', 'http://x');
    requests.push({ method: request.method ?? '', url, body });
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer.bodies?.[url.pathname] ?? answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

const written = {
  changes: [
    { action: 'create', kind: 'Network', name: 'acme/front', fields: [{ path: 'tag', to: 4096 }] },
    { action: 'update', kind: 'Tenant', name: 'acme', fields: [{ path: 'vlans', from: '1-2', to: '1-3' }] },
  ],
  warnings: [],
  dryRun: false,
  acknowledgements: [{ datapathId: '01', host: 'h1', ok: true, refused: [] }],
};

async function intentFile(t: Test, text = 'kind: Tenant\nname: acme\n'): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'weft-cli-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const file = join(directory, 'acme.yaml');
  await writeFile(file, text);
  return file;
}

t.test('drops and the counters of rules', async (t) => {
  const drop = { datapathId: '01', host: 'h1', bytes: 60, network: 'acme/web', tenant: 'acme' };
  const silent = [{ datapathId: '02', host: 'h2', reason: 'it is not connected' }];
  const drops = await answering(t, {
    body: {
      items: [
        { ...drop, cause: 'miss.unknown-port', text: 'from nowhere', table: 'classify', packets: 1 },
        { ...drop, cause: 'policy.rule', text: 'denied', table: 'v', rule: 'acme/p/r', packets: 12 },
      ],
      silent,
    },
  });
  const run = await weft(drops.url, 'get', 'drops', 'h1', '--tenant', 'acme');
  t.equal(run.exit, 0, run.error);
  t.match(
    run.out,
    /^PACKETS .*\n12 +60 +h1 +v +acme\/p\/r +denied\n1 +60 +h1 +classify +acme\/web +from nowhere\n$/,
  );
  t.match(run.error, /nothing from the switch of h2: it is not connected/);
  t.match(drops.requests[0]?.url.pathname, '/v1/drops');
  t.same(Object.fromEntries(drops.requests[0]!.url.searchParams), {
    host: 'h1',
    tenant: 'acme',
    all: 'false',
  });

  const counters = { tenant: 'acme', packets: 9, bytes: 900, connections: 4, switches: 2 };
  const rules = await answering(t, {
    body: {
      items: [
        { ...counters, name: 'acme/p', kind: 'policy-default', direction: 'in' },
        { ...counters, name: 'acme/p/r', kind: 'rule', direction: 'in' },
        { ...counters, name: 'acme/q/r', kind: 'rule', direction: 'out' },
      ],
      silent: [],
    },
  });
  const stats = await weft(rules.url, 'get', 'rules', 'acme/p', '--stats');
  t.equal(stats.exit, 0, stats.error);
  t.match(stats.out, /^RULE .*\nacme\/p \(default\) +in +4 +9 +900 +2\nacme\/p\/r +in +4 +9 +900 +2\n$/);
  t.equal((await weft(rules.url, 'get', 'hosts', '--stats')).exit, 2);
});

t.test('multicast: groups, receivers, trees', async (t) => {
  const tree = {
    kind: 'tree',
    colour: 2,
    root: 'h2',
    edges: [
      ['h2', 'h10'],
      ['h2', 'h1'],
      ['h1', 'h3'],
    ],
  };
  const receiver = { endpoint: 'acme/web/a', host: 'h1', version: 'IGMPv3', secondsLeft: 250 };
  const sources = { mode: 'exclude', addresses: ['10.0.0.1', '10.0.0.2'] };
  const counters = { sent: { packets: 3, bytes: 180 }, received: { packets: 6, bytes: 360 } };
  const group = { network: 'acme/web', group: '239.1.1.1', number: 1, distribution: tree, counters };
  const { url, requests } = await answering(t, {
    body: {
      groups: [
        {
          ...group,
          receivers: [
            { ...receiver, sources },
            { version: 'IGMPv2', secondsLeft: 9 },
          ],
        },
        { ...group, group: 'ff05::1', receivers: [receiver], distribution: { kind: 'replication' } },
      ],
      routers: [{ network: 'acme/web', address: '10.0.0.254', learnedBy: 'query', secondsLeft: 99 }],
      queriers: [
        { network: 'acme/web', protocol: 'IGMP', querier: 'other', address: '10.0.0.254', secondsLeft: 99 },
        { network: 'acme/web', protocol: 'MLD', querier: 'weft' },
      ],
      silent: [{ datapathId: '02', host: 'h2', reason: 'it is not connected' }],
      problems: [{ code: 'multicast.limit.x', network: 'acme/web', message: 'too many', fix: 'leave some' }],
      floods: [{ network: 'acme/web', distribution: { kind: 'replication' } }],
    },
  });
  const run = await weft(url, 'get', 'multicast', '--network', 'acme/web');
  t.equal(run.exit, 0, run.error);
  t.equal(requests[0]?.url.searchParams.get('network'), 'acme/web');
  const lines = run.out.replaceAll(/ +/g, ' ').split('\n');
  t.match(lines, { 1: 'acme/web 239.1.1.1 acme/web/a h1 IGMPv3 exclude 10.0.0.1 10.0.0.2 250s' });
  t.match(lines, { 2: 'acme/web 239.1.1.1 uplink - IGMPv2 all 9s' });
  t.match(run.out, 'tree, colour 2, 4 hosts\n  h2\n  ├─ h1\n  │  └─ h3\n  └─ h10\n');
  t.match(run.out, /acme\/web +239\.1\.1\.1 +3 +180 +6 +360\n/);
  t.match(run.error, /no counters from the switch of h2: it is not connected/);
  t.match(run.out, 'too many\n  fix: leave some\n');
  t.match(run.out, /acme\/web +MLD +weft +-/);
  const one = await weft(url, 'get', 'multicast', 'ff05::1', '--json');
  t.match(JSON.parse(one.out), { groups: { length: 1, 0: { group: 'ff05::1' } } });
});

t.test('fabric: switches, ports with their roles, links, stations', async (t) => {
  const { url, requests } = await answering(t, { body: fabricReport });
  const run = await weft(url, 'get', 'fabric');
  t.equal(run.exit, 0, run.error);
  t.equal(requests[0]?.url.pathname, '/v1/fabric');
  const lines = run.out.replaceAll(/ +/g, ' ').split('\n');
  for (const line of [
    '00000000000000b2 away 1 1 0',
    '00000000000000a1 1 a-1 link 00000000000000b2/1 - -',
    '00000000000000a1 2 a-2 edge - 1 -',
    '00000000000000a1 3 a-3 unknown - - one direction only',
    '00000000000000a1/1 00000000000000b2/1',
    '3 probes that this controller has not sent',
    '2 frames of stations that were too many to be learned',
  ]) {
    t.ok(lines.includes(line), `${line}\n${lines.join('\n')}`);
  }
  t.match(run.out, /02:02:0a:00:00:01 +7 +00000000000000a1 +2 +\d+s ago +2/);
  t.same(JSON.parse((await weft(url, 'get', 'fabric', '--json')).out), fabricReport);
  const one = JSON.parse((await weft(url, 'get', 'fabric', 'b2', '--json')).out) as typeof fabricReport;
  t.match(one, {
    switches: { length: 1 },
    ports: { length: 1 },
    links: { length: 1 },
    stations: { length: 0 },
  });
});

t.test('kubernetes: resources, nodes, services, and what is refused', async (t) => {
  const { url, requests } = await answering(t, { body: kubernetesReport });
  const run = await weft(url, 'get', 'kubernetes');
  t.equal(run.exit, 0, run.error);
  t.equal(requests[0]?.url.pathname, '/v1/kubernetes');
  const lines = run.out.replaceAll(/ +/g, ' ').split('\n');
  for (const line of [
    'https://10.96.0.1:443: 12 intents in tenant kubernetes, pods in network pods',
    'nodes waiting 1 - 1 - connect ECONNREFUSED',
    'worker-1 h1 yes 192.168.2.10',
    'shop/web 10.96.0.10 80/tcp to http',
    'pods shop/bad metadata.labels.app must be string',
  ]) {
    t.ok(lines.includes(line), `${line}\n${lines.join('\n')}`);
  }
  t.same(JSON.parse((await weft(url, 'get', 'kubernetes', '--json')).out), kubernetesReport);
  const off = await answering(t, { body: { ...kubernetesReport, enabled: false } });
  t.match((await weft(off.url, 'get', 'kubernetes')).out, /^no cluster is watched/);
});

t.test('describe network: how its broadcast travels', async (t) => {
  const object = { kind: 'Network', name: 'acme/web', spec: { tenant: 'acme' }, status: { tag: 10_001 } };
  const described = async (floods: readonly unknown[]): Promise<string> => {
    const { url } = await answering(t, {
      body: object,
      bodies: { '/v1/endpoints': [], '/v1/multicast': { groups: [], routers: [], queriers: [], floods } },
    });
    const run = await weft(url, 'describe', 'network', 'acme/web');
    t.equal(run.exit, 0, run.error);
    return run.out;
  };
  const network = 'acme/web';
  const tree = { kind: 'tree', colour: 2, root: 'h2', edges: [['h2', 'h1']] };
  t.match(
    await described([{ network, distribution: tree }]),
    /^broadcast:\n {2}tree, colour 2, 2 hosts\n {4}h2\n {4}└─ h1\n/m,
  );
  const replicated = await described([{ network, distribution: { kind: 'replication' } }]);
  t.match(replicated, /^broadcast:\n {2}replicated by the sender's host\n/m);
  t.notMatch(await described([]), /broadcast/, 'a VLAN network');
});

t.test(
  'trace asks what the options say, and tells the way, the verdict and the line of the intent',
  async (t) => {
    const decision = {
      host: 'h2',
      direction: 'in',
      action: 'deny',
      rule: 'acme/front/no-ssh',
      policy: 'acme/front',
      intent: 'Policy acme/front, rules[1]',
      because: 'rule no-ssh of policy acme/front',
    };
    const step = {
      depth: 0,
      table: 'classify',
      tableId: 0,
      entry: 'table=0 actions=x',
      owner: 'o',
      remarks: ['r'],
    };
    const visit = {
      host: 'h1',
      datapathId: '01',
      arrival: 'port 1 from acme/web/a',
      connection: 'new',
      steps: [
        step,
        {
          depth: 1,
          table: 'output',
          tableId: 9,
          cause: 'tracked in zone 1',
          conjunction: ['c1', 'c2'],
          remarks: [],
        },
      ],
      departures: [{ port: 5, to: 'tunnel to h2' }],
    };
    const party = { address: '10.1.1.1', mac: '02:00:00:00:00:01' };
    const { url, requests } = await answering(t, {
      body: {
        outcome: 'dropped',
        verdict: `dropped: x by ${decision.because} (${decision.intent})`,
        from: party,
        to: party,
        network: 'acme/web',
        service: 'tcp 22',
        request: { outcome: 'dropped', packet: 'tcp,x', decisions: [decision], visits: [visit] },
        differences: [{ host: 'h2', missing: 1, extra: 0, changed: 2, foreign: 0, examples: ['missing: y'] }],
      },
    });
    const file = await intentFile(
      t,
      'kind: Policy\ntenant: acme\nname: front\nrules:\n- {name: http, protocol: tcp}\n- {name: no-ssh, action: deny}\n',
    );
    const parties = ['--from', 'acme/web/a', '--to', 'acme/web/b'];
    const run = await weft(
      url,
      'trace',
      ...parties,
      '--tcp',
      '22',
      '--source-port',
      '7',
      '--ipv6',
      '-f',
      file,
    );
    t.equal(run.exit, 8, run.error);
    t.match(requests[0], { method: 'GET', url: { pathname: '/v1/trace' } });
    t.same(Object.fromEntries(requests[0]!.url.searchParams), {
      from: 'acme/web/a',
      to: 'acme/web/b',
      protocol: 'tcp',
      port: '22',
      sourcePort: '7',
      family: '6',
    });
    t.equal(
      run.out,
      `request: tcp,x

h1: in by port 1 from acme/web/a, connection new
  classify: table=0 actions=x
    from o
    r
    output (tracked in zone 1): no entry matches
      by 2 entries of a conjunctive match:
        c1
        c2
  out to tunnel to h2

request judged:
  deny on h2, received: rule no-ssh of policy acme/front, ${file}:6

h2 does not hold what it should: 1 missing, 2 changed
  missing: y

dropped: x by rule no-ssh of policy acme/front (${file}:6)
`,
    );
    await weft(url, 'trace', ...parties, '--icmp', '3/1', '--json');
    t.match(Object.fromEntries(requests[1]!.url.searchParams), {
      protocol: 'icmp',
      icmpType: '3',
      icmpCode: '1',
    });
    await weft(url, 'trace', ...parties, '--protocol', '47');
    t.equal(requests[2]?.url.searchParams.get('protocol'), '47');
    await weft(url, 'trace', ...parties);
    t.equal(requests[3]?.url.searchParams.get('protocol'), 'icmp', 'an echo request, unless told otherwise');
    for (const wrong of [
      ['--tcp', '80', '--udp', '53'],
      ['--tcp', '70000'],
      ['--icmp', '8/0/1'],
      ['--protocol', 'x'],
    ]) {
      t.equal((await weft(url, 'trace', ...parties, ...wrong)).exit, 2, wrong.join(' '));
    }
    t.equal(requests.length, 4);
  },
);

t.test('trace between stations, or from a port, asks the fabric', async (t) => {
  const visit = {
    switch: '0000000000000001',
    inPort: 1,
    arrival: 'port 1 (s1-eth1) from 02:00:00:00:00:01',
    alternative: false,
    steps: [{ depth: 0, table: 'ingress', tableId: 0, entry: 'table=0 actions=x', owner: 'o', remarks: [] }],
    departures: [{ port: 2, to: '0000000000000002 by port 2 (s1-eth2)' }],
  };
  const delivery = {
    switch: '0000000000000002',
    port: 1,
    name: 's2-eth1',
    stations: ['02:00:00:00:00:02'],
    alternative: true,
    path: [
      { switch: '0000000000000001', port: 2 },
      { switch: '0000000000000002', port: 1 },
    ],
  };
  const leg = {
    outcome: 'allowed',
    packet: 'dl_src=x',
    visits: [visit, { ...visit, alternative: true, steps: [], departures: [], unseen: 'not connected' }],
    deliveries: [delivery],
  };
  const { url, requests } = await answering(t, {
    body: { outcome: 'allowed', verdict: 'allowed: x', request: leg, differences: [] },
  });
  const query = (index: number) => Object.fromEntries(requests[index]!.url.searchParams);
  const [from, to] = ['02:00:00:00:00:01', '10.0.0.2'];
  const run = await weft(url, 'trace', '--from', from, '--to', to, '--vlan', '7');
  t.equal(run.exit, 0, run.error);
  t.match(requests[0], { method: 'GET', url: { pathname: '/v1/fabric/trace' } });
  t.same(query(0), { from, to, vlan: '7' });
  t.equal(
    run.out,
    `request: dl_src=x

0000000000000001: in by port 1 (s1-eth1) from 02:00:00:00:00:01
  ingress: table=0 actions=x
    from o
  out to 0000000000000002 by port 2 (s1-eth2)

0000000000000001: in by port 1 (s1-eth1) from 02:00:00:00:00:01, if it is chosen
  not connected

request arrives:
  0000000000000002/1 (s2-eth1): 02:00:00:00:00:02, over 0000000000000001/2 0000000000000002/1

allowed: x
`,
  );
  await weft(url, 'trace', '--switch', '1', '--in-port', '3', '--to', to);
  t.same(query(1), { to, switch: '1', inPort: '3' });
  for (const wrong of [
    ['--to', to],
    ['--to', to, '--switch', '1'],
    ['--from', from, '--to', to, '--tcp', '80'],
    ['--from', from, '--to', to, '--vlan', '4096'],
    ['--to', 'acme/web/a'],
  ]) {
    t.equal((await weft(url, 'trace', ...wrong)).exit, 2, wrong.join(' '));
  }
  t.equal(requests.length, 2);
});

t.test('apply sends the files as they are and shows what came of it', async (t) => {
  const { url, requests } = await answering(t, { body: written });
  const file = await intentFile(t);
  const run = await weft(url, 'apply', '-f', file, '--replace');
  t.equal(run.exit, 0, run.error);
  t.match(run.out, /network +acme\/front +created +tag 4096/);
  t.match(run.out, /tenant +acme +updated +vlans 1-2 -> 1-3/);
  t.match(run.out, /1 created, 1 updated, 0 deleted, 0 unchanged\nacknowledged by 1 of 1 switch\n$/);
  t.match(requests[0], { method: 'POST', url: { pathname: '/v1/apply' } });
  t.same(Object.fromEntries(requests[0]!.url.searchParams), {
    dryRun: 'false',
    wait: 'acknowledged',
    timeoutMs: '20000',
    mode: 'replace',
  });
  t.same(JSON.parse(requests[0]!.body), { files: [{ name: file, text: 'kind: Tenant\nname: acme\n' }] });
});

t.test('a switch that refuses is named, with the entry and why, and the exit code says so', async (t) => {
  const refused = [
    { entry: 'table=0,priority=1 actions=drop', owner: 'bridge network:1', error: 'OFPFMFC_TABLE_FULL' },
  ];
  const acknowledgements = [{ datapathId: '02', host: 'h2', ok: false, reason: 'refused', refused }];
  const { url } = await answering(t, { body: { ...written, acknowledgements } });
  const run = await weft(url, 'apply', '-f', await intentFile(t));
  t.equal(run.exit, 7);
  t.match(
    run.out,
    /h2: refused\n +OFPFMFC_TABLE_FULL: table=0,priority=1 actions=drop \(from bridge network:1\)/,
  );
});

t.test("the server's reason is shown with line, path and fix; with --json as data", async (t) => {
  const body = {
    code: 'network.subnet.syntax',
    message: '"10.1/33" is not a prefix',
    path: 'Network acme/front: subnet',
    fix: 'write 10.1.0.0/24',
    file: 'a.yaml',
    line: 3,
  };
  const { url } = await answering(t, { status: 422, body });
  const file = await intentFile(t);
  const run = await weft(url, 'apply', '-f', file);
  t.equal(run.exit, 3);
  t.equal(
    run.error,
    'weft: a.yaml:3: "10.1/33" is not a prefix [network.subnet.syntax]\n  at: Network acme/front: subnet\n  fix: write 10.1.0.0/24\n',
  );
  const json = await weft(url, 'apply', '-f', file, '--json');
  t.match((JSON.parse(json.out) as { error: unknown }).error, body);
});

t.test('diff ends with 6 when something would change, with 0 when nothing would', async (t) => {
  const file = await intentFile(t);
  const different = await answering(t, { body: { ...written, dryRun: true } });
  const run = await weft(different.url, 'diff', '-f', file);
  t.equal(run.exit, 6);
  t.match(run.out, /^\+ Network acme\/front\n {4}tag 4096\n~ Tenant acme\n {4}vlans 1-2 -> 1-3\n/);
  const same = await answering(t, { body: { changes: [], warnings: [], dryRun: true } });
  t.equal((await weft(same.url, 'diff', '-f', file)).exit, 0);
});

t.test('exit codes of what cannot be', async (t) => {
  const missing = await answering(t, {
    status: 404,
    body: { code: 'object.not-found', message: 'there is no Tenant x' },
  });
  const cases: [number, string, string[]][] = [
    [4, missing.url, ['get', 'tenant', 'x']],
    [5, 'http://127.0.0.1:1', ['status']],
    [2, missing.url, ['get', 'nonsense']],
    [2, missing.url, ['get', 'network', 'without-tenant']],
    [2, missing.url, ['nonsense']],
    [2, missing.url, ['delete']],
    [2, 'https://x', ['status']],
    [1, missing.url, ['apply', '-f', '/nowhere.yaml']],
    [0, missing.url, ['--version']],
  ];
  const runs = await Promise.all(cases.map(async ([, server, args]) => await weft(server, ...args)));
  for (const [index, [exit, , args]] of cases.entries()) {
    t.equal(runs[index]?.exit, exit, `weft ${args.join(' ')}: ${runs[index]?.error}`);
  }
});

t.test('names are completed', async (t) => {
  const run = await weft('', 'complete', '--', 'get', 'ne');
  t.match(run.out, /^networks/m);
  t.notMatch(run.out, /tenants/);
});

t.test('the pages in docs are what the code says', async (t) => {
  t.same(await outdatedPages(), [], 'run "npm run docs" and commit what it writes');
});
