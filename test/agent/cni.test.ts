/** The parts of the CNI plugin that need no switch: what is asked for, what is answered, the front, the files that are installed. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { basicsOf, keyOf, wantedEndpoint, type CniRequest } from '../../agent/cni/configuration.js';
import { cniErrorOf } from '../../agent/cni/errors.js';
import { frontScript } from '../../agent/cni/front.js';
import { installCni } from '../../agent/cni/install.js';
import { podEndpointName } from '../../agent/cni/names.js';
import { CniPlugin, type CniAgent } from '../../agent/cni/plugin.js';
import { addResult, CNI_VERSIONS, CniCode, CniError } from '../../agent/cni/protocol.js';
import { serveCni } from '../../agent/cni/server.js';
import type { CniRecord } from '../../agent/cni/records.js';
import { nameIn } from '../../controller/kubernetes/names.js';
import { AgentError } from '../../agent/error.js';
import { silentLogger, type Logger } from '../../agent/logger.js';
import type { LocalAttachParams, LocalAttachResult } from '../../agent/local/methods.js';
import type { AttachmentRecord } from '../../agent/records.js';

const ID = '0123456789abcdef0123456789abcdef';
const ADD = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: ID, CNI_NETNS: '/run/netns/box', CNI_IFNAME: 'eth0' };
const CONFIGURATION = { cniVersion: '1.1.0', name: 'pods', type: 'weft', tenant: 'acme' };

function request(more: object = {}, environment: Readonly<Record<string, string>> = {}): CniRequest {
  const given = Object.entries({ ...ADD, ...environment }).filter(([, value]) => value !== '');
  return {
    environment: Object.fromEntries(given) as CniRequest['environment'],
    configuration: JSON.parse(JSON.stringify({ ...CONFIGURATION, ...more })),
  };
}

/** An error with this code, whatever it says. */
const code = (cniCode: number) => ({ cniCode, message: /./ });

function wanted(more: object = {}, environment: Readonly<Record<string, string>> = {}) {
  const asked = request(more, environment);
  const basics = basicsOf(asked);
  return wantedEndpoint(asked, basics, keyOf(asked, basics));
}

t.test('what is asked for', async (t) => {
  t.same(wanted(), {
    tenant: 'acme',
    network: 'pods',
    endpoint: '0123456789ab-eth0',
    ofPod: false,
    ips: [],
    groups: [],
    labels: {},
    rates: {},
    dns: {},
  });
  const full = wanted(
    {
      network: 'front',
      group: 'web',
      groups: ['db', 'web'],
      labels: { app: 'shop', tier: 'one' },
      qos: 'gold',
      mtu: 1400,
      deadlineMs: 5000,
      dns: { nameservers: ['10.1.1.53'], search: ['example.org'] },
      capabilities: { bandwidth: true, ips: true, mac: true, portMappings: false },
      runtimeConfig: {
        bandwidth: { ingressRate: 1_000_000, ingressBurst: 64_000, egressRate: 2500 },
        ips: ['10.1.1.7/24', 'fd00::7'],
        mac: '02:00:00:00:00:07',
      },
      args: { cni: { labels: [{ key: 'tier', value: 'two' }] }, 'org.example': { anything: 1 } },
      ipMasq: false,
      ipam: {},
      'org.example/extra': 1,
    },
    { CNI_ARGS: 'IgnoreUnknown=1;FOO=bar;K8S_POD_UID=u-1;WEFT_GROUPS=cache,web' },
  );
  t.same(full, {
    tenant: 'acme',
    network: 'front',
    endpoint: '0123456789ab-eth0',
    ofPod: false,
    attachUUID: 'u-1',
    ips: ['10.1.1.7', 'fd00::7'],
    mac: '02:00:00:00:00:07',
    groups: ['web', 'db', 'cache'],
    labels: { app: 'shop', tier: 'two' },
    qos: 'gold',
    rates: { in: { kilobitsPerSecond: 1000, burstKilobits: 64 }, out: { kilobitsPerSecond: 3 } },
    mtu: 1400,
    deadlineMs: 5000,
    dns: { nameservers: ['10.1.1.53'], search: ['example.org'] },
  });
  const unlimitedBurst = { bandwidth: { egressRate: 10_000, egressBurst: 2 ** 32 - 1 } };
  t.same(wanted({ runtimeConfig: unlimitedBurst }).rates, { out: { kilobitsPerSecond: 10 } });
  const byArgs = wanted({}, { CNI_ARGS: 'IP=10.1.1.9/24;MAC=02:00:00:00:00:09;WEFT_QOS=silver;' });
  t.match(byArgs, { ips: ['10.1.1.9'], mac: '02:00:00:00:00:09', qos: 'silver' });
});

t.test('names of endpoints', async (t) => {
  const pod = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0';
  t.match(wanted({}, { CNI_ARGS: pod }), { endpoint: 'shop.web-0', ofPod: true });
  t.match(wanted({}, { CNI_ARGS: `${pod};WEFT_ENDPOINT=db` }), { endpoint: 'db', ofPod: false });
  t.match(
    wanted({}, { CNI_ARGS: 'K8S_POD_NAME=web' }),
    { endpoint: '0123456789ab-eth0' },
    'podman: no namespace',
  );
  t.match(wanted({}, { CNI_CONTAINERID: 'abc', CNI_IFNAME: 'net1' }), { endpoint: 'abc-net1' });
  t.equal(podEndpointName('n'.repeat(63), 'p'.repeat(189)).length, 253);
  const long = podEndpointName('n'.repeat(63), 'p'.repeat(253));
  t.equal(long.length, 253);
  t.match(long, /^n{63}\.p{172}-[0-9a-f]{16}$/);
  t.not(long, podEndpointName('n'.repeat(63), 'p'.repeat(252)), 'others have others');
  const name = fc.string({ unit: fc.constantFrom(...'abz09-.'), minLength: 1, maxLength: 253 });
  const asWatcher = fc.property(name, name, (namespace, pod) => {
    t.equal(podEndpointName(namespace, pod), nameIn(namespace, pod));
  });
  fc.assert(asWatcher, { numRuns: 50 });
});

t.test('what is refused, with the code of the specification', async (t) => {
  const refused = (
    code: CniCode,
    message: RegExp,
    more: object,
    environment: Readonly<Record<string, string>> = {},
  ): void => {
    t.throws(() => wanted(more, environment), { cniCode: code, message }, `${message}`);
  };
  refused(CniCode.incompatibleVersion, /"0.2.0" is not supported/, { cniVersion: '0.2.0' });
  refused(CniCode.incompatibleVersion, /"2.0.0" is not supported/, { cniVersion: '2.0.0' });
  refused(CniCode.incompatibleVersion, /"0.1.0"/, { cniVersion: undefined });
  refused(
    CniCode.incompatibleVersion,
    /CHECK came with version 0.4.0/,
    { cniVersion: '0.3.1' },
    { CNI_COMMAND: 'CHECK' },
  );
  refused(
    CniCode.incompatibleVersion,
    /GC came with version 1.1.0/,
    { cniVersion: '1.0.0' },
    { CNI_COMMAND: 'GC' },
  );
  refused(CniCode.incompatibleVersion, /STATUS came/, { cniVersion: '1.0.0' }, { CNI_COMMAND: 'STATUS' });
  refused(CniCode.invalidEnvironment, /CNI_COMMAND "EAT" is unknown/, {}, { CNI_COMMAND: 'EAT' });
  refused(CniCode.invalidEnvironment, /CNI_CONTAINERID "a b"/, {}, { CNI_CONTAINERID: 'a b' });
  refused(CniCode.invalidEnvironment, /CNI_IFNAME "a\/b"/, {}, { CNI_IFNAME: 'a/b' });
  refused(CniCode.invalidEnvironment, /CNI_IFNAME/, {}, { CNI_IFNAME: 'sixteen-letters-' });
  refused(CniCode.invalidEnvironment, /CNI_NETNS "box"/, {}, { CNI_NETNS: 'box' });
  refused(CniCode.invalidEnvironment, /CNI_ARGS: "FOO" is unknown/, {}, { CNI_ARGS: 'FOO=1' });
  refused(CniCode.invalidEnvironment, /CNI_ARGS: "nonsense"/, {}, { CNI_ARGS: 'nonsense;IgnoreUnknown=1' });
  refused(CniCode.invalidConfiguration, /name is missing/, { name: '' });
  refused(CniCode.invalidConfiguration, /tenant is missing/, { tenant: undefined });
  refused(CniCode.invalidConfiguration, /groups\[0\]/, { groups: [1] });
  refused(CniCode.invalidConfiguration, /mtu/, { mtu: 100 });
  refused(CniCode.invalidConfiguration, /ips "10.1.1"/, { runtimeConfig: { ips: ['10.1.1'] } });
  refused(CniCode.invalidConfiguration, /runtimeConfig.mac/, { runtimeConfig: { mac: '02-00' } });
  refused(CniCode.invalidConfiguration, /egressRate/, { runtimeConfig: { bandwidth: { egressRate: 999 } } });
  refused(CniCode.invalidConfiguration, /ingressBurst has no rate/, {
    runtimeConfig: { bandwidth: { ingressBurst: 1 } },
  });
  refused(CniCode.unsupportedField, /grups: \["db"\]/, { grups: ['db'] });
  refused(CniCode.unsupportedField, /ipMasq: true/, { ipMasq: true });
  refused(CniCode.unsupportedField, /ipam: .*host-local/, { ipam: { type: 'host-local' } });
  refused(CniCode.unsupportedField, /capabilities.portMappings/, { capabilities: { portMappings: true } });
  t.throws(() => basicsOf({ environment: {}, configuration: {} }), { message: 'CNI_COMMAND is missing' });
  const empty: CniRequest = { environment: { CNI_COMMAND: 'ADD' }, configuration: CONFIGURATION };
  t.throws(() => keyOf(empty, basicsOf(empty)), {
    message: 'CNI_CONTAINERID is missing; CNI_IFNAME is missing; CNI_NETNS is missing',
  });
  t.throws(
    () => basicsOf({ environment: { CNI_COMMAND: 'ADD' }, configuration: [] }),
    code(CniCode.undecodable),
  );
});

t.test('results in every version', async (t) => {
  const added = {
    host: { name: 'weft0123456789', mac: '06:00:00:00:00:01' },
    container: { name: 'eth0', mac: '02:02:0a:01:01:07', netns: '/run/netns/box' },
    mtu: 1450,
    addresses: [{ cidr: '10.1.1.7/24', gateway: '10.1.1.1' }, { cidr: 'fd00::7/64' }],
    defaultRoutes: ['10.1.1.1', 'fd00::1'],
    dns: { domain: 'example.org' },
  };
  for (const version of CNI_VERSIONS) {
    const old = version.startsWith('0.');
    const mtu = version === '1.1.0' ? { mtu: 1450 } : {};
    t.same(
      addResult(version, added),
      {
        cniVersion: version,
        interfaces: [
          { name: 'weft0123456789', mac: '06:00:00:00:00:01', ...mtu },
          { name: 'eth0', mac: '02:02:0a:01:01:07', ...mtu, sandbox: '/run/netns/box' },
        ],
        ips: [
          { ...(old ? { version: '4' } : {}), address: '10.1.1.7/24', gateway: '10.1.1.1', interface: 1 },
          { ...(old ? { version: '6' } : {}), address: 'fd00::7/64', interface: 1 },
        ],
        routes: [
          { dst: '0.0.0.0/0', gw: '10.1.1.1' },
          { dst: '::/0', gw: 'fd00::1' },
        ],
        dns: { domain: 'example.org' },
      },
      version,
    );
  }
});

t.test('errors of the agent and the controller', async (t) => {
  const of = (code: string, fix?: string) => {
    const error = new AgentError(code, 'it went wrong', fix === undefined ? {} : { fix });
    return cniErrorOf(error, 'acme/pods/a');
  };
  t.match(of('agent.disconnected', 'wait'), {
    cniCode: 11,
    message: 'acme/pods/a: it went wrong',
    details: '[agent.disconnected] fix: wait',
  });
  t.equal(of('endpoint.undeclared').cniCode, 11);
  t.equal(of('agent.namespace.missing').cniCode, 4);
  t.equal(of('agent.interface.exists').cniCode, 101);
  t.equal(of('network.unknown').cniCode, 7);
  t.equal(of('endpoint.group.unknown').cniCode, 100);
  t.equal(cniErrorOf(new TypeError('x is undefined'), 'acme/pods/a').cniCode, 999);
  const own = new CniError(CniCode.exists, 'there');
  t.equal(cniErrorOf(own, ''), own);
});

/** An agent without a switch: what is attached is in `attached`, and nothing is in the kernel. */
class FakeAgent implements CniAgent {
  readonly attached = new Map<string, AttachmentRecord>();
  readonly detached: string[] = [];
  readonly asked: LocalAttachParams[] = [];
  connected = true;
  switchState = 'ready';
  failure: Error | undefined;

  attach = async (params: LocalAttachParams): Promise<LocalAttachResult> => {
    this.asked.push(params);
    if (this.failure !== undefined) throw this.failure;
    const { tenant, network, endpoint: name, netns = '', innerInterface = '' } = params;
    const endpoint = `${tenant}/${network}/${name}`;
    const mac = '02:02:0a:01:01:01';
    this.attached.set(endpoint, { endpoint, generation: 1, namespace: netns, innerInterface, mac });
    return {
      endpoint: {
        endpoint,
        tenant,
        network,
        name,
        mac,
        ip: '10.1.1.1/24',
        mtuOverhead: 50,
        encapsulation: 'vxlan',
        tag: 1,
      },
      // The loopback is an interface that every machine has.
      interface: 'lo',
      mtu: 1450,
      generation: 1,
      others: 'acknowledged',
    };
  };
  detach = async (endpoint: string): Promise<boolean> => {
    this.detached.push(endpoint);
    return this.attached.delete(endpoint);
  };
  entries = () => [...this.attached.values()].map((record) => ['lo', record] as const);
  registered = async (): Promise<void> => {
    if (!this.connected) throw new AgentError('agent.disconnected', 'nobody registered this host');
  };
}

class FakeState {
  current: { cni: Readonly<Record<string, CniRecord>> } = { cni: {} };
  update = async (change: { cni: Readonly<Record<string, CniRecord>> }): Promise<void> => {
    this.current = change;
  };
}

t.test('operations, and what is remembered of them', async (t) => {
  const agent = new FakeAgent();
  const state = new FakeState();
  let plugin = new CniPlugin({ agent, state, logger: silentLogger });
  const run = (environment: Readonly<Record<string, string>>, more: object = {}) =>
    plugin.run(request(more, environment));
  const containers = (): string[] => Object.values(state.current.cni).map(({ containerId }) => containerId);

  t.match(await run({}), { cniVersion: '1.1.0', ips: [{ address: '10.1.1.1/24', interface: 1 }] });
  await t.rejects(run({}), code(CniCode.exists), 'twice is an error');
  t.equal(agent.attached.size, 1, 'which leaves the first');
  await t.rejects(run({ CNI_CONTAINERID: 'b' }, { prevResult: {} }), {
    cniCode: 7,
    message: /first of its list/,
  });

  const limited = run({ CNI_CONTAINERID: 'b' }, { mtu: 1500 });
  await t.rejects(limited, { cniCode: 7, message: /mtu 1500 is more than the 1450 bytes/ });
  t.same(containers(), [ID], 'what failed is forgotten');
  t.notOk(agent.attached.has('acme/pods/b-eth0'), 'and taken down');
  agent.failure = new AgentError('switch.disconnected', 'the switch is away');
  await t.rejects(run({ CNI_CONTAINERID: 'b' }), { cniCode: 11, message: /the switch is away/ });
  agent.failure = undefined;
  agent.connected = false;
  await t.rejects(run({ CNI_CONTAINERID: 'b' }), { cniCode: 11, message: /nobody registered/ });
  await t.rejects(run({ CNI_COMMAND: 'STATUS' }), code(50));
  agent.switchState = 'connecting';
  await t.rejects(run({ CNI_COMMAND: 'STATUS' }), code(51));
  Object.assign(agent, { connected: true, switchState: 'ready' });
  t.equal(await run({ CNI_COMMAND: 'STATUS' }), undefined);
  t.same(containers(), [ID]);

  await t.test('DEL', async (t) => {
    plugin = new CniPlugin({ agent, state, logger: silentLogger });
    const gone = { CNI_COMMAND: 'DEL', CNI_NETNS: '' };
    t.equal(await run({ ...gone, CNI_CONTAINERID: 'never-added' }), undefined, 'of nothing');
    t.same(agent.detached, ['acme/pods/b-eth0']);
    t.equal(await run(gone, { tenant: 7 }), undefined);
    t.same(
      agent.detached.at(-1),
      'acme/pods/0123456789ab-eth0',
      'without namespace, by a configuration that is broken',
    );
    t.equal(await run(gone), undefined, 'again');
    t.equal(agent.detached.length, 2);
    t.same(state.current.cni, {});

    await run({});
    plugin = new CniPlugin({ agent, state: new FakeState(), logger: silentLogger });
    await run({ CNI_COMMAND: 'DEL', CNI_NETNS: '/run/netns/other' });
    t.equal(agent.attached.size, 1, 'the state was lost: what is in another namespace is not meant');
    await run({ CNI_COMMAND: 'DEL' });
    t.equal(agent.attached.size, 0, 'what is in this one is');
  });

  await t.test('a pod in a new sandbox, and the old one deleted late', async (t) => {
    plugin = new CniPlugin({ agent, state: new FakeState(), logger: silentLogger });
    const pod = { CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0' };
    await run({ ...pod, CNI_CONTAINERID: 'old', CNI_NETNS: '/run/netns/old' });
    await run({ ...pod, CNI_CONTAINERID: 'new', CNI_NETNS: '/run/netns/new' });
    await run({ ...pod, CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'old', CNI_NETNS: '/run/netns/old' });
    t.equal(agent.attached.get('acme/pods/shop.web-0')?.namespace, '/run/netns/new');
    const second = run({ ...pod, CNI_CONTAINERID: 'new', CNI_NETNS: '/run/netns/new', CNI_IFNAME: 'net1' });
    await t.rejects(second, { cniCode: CniCode.exists, message: /is interface eth0 of container new/ });
    await run({ ...pod, CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'new', CNI_NETNS: '/run/netns/new' });
    t.equal(agent.attached.size, 0);
    await run({ CNI_ARGS: 'WEFT_ENDPOINT=db', CNI_CONTAINERID: 'one' });
    const stolen = run({ CNI_ARGS: 'WEFT_ENDPOINT=db', CNI_CONTAINERID: 'two' });
    await t.rejects(stolen, code(CniCode.exists), 'a name that people gave is nobody else’s');
    await run({ CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'one' });
  });

  await t.test('GC', async (t) => {
    plugin = new CniPlugin({ agent, state, logger: silentLogger });
    for (const CNI_CONTAINERID of ['a', 'b', 'c']) await run({ CNI_CONTAINERID });
    await run({ CNI_CONTAINERID: 'd' }, { name: 'others', network: 'pods' });
    const gc = { CNI_COMMAND: 'GC', CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '' };
    await t.rejects(run(gc), code(7), 'without the list nothing is removed');
    await t.rejects(run(gc, { 'cni.dev/valid-attachments': [{ containerID: 'a' }] }), code(7));
    t.equal(agent.attached.size, 4);
    const valid = [
      { containerID: 'a', ifname: 'eth0' },
      { containerID: 'b', ifname: 'net1' },
    ];
    t.equal(await run(gc, { 'cni.dev/valid-attachments': valid }), undefined);
    t.same([...agent.attached.keys()].sort(), ['acme/pods/a-eth0', 'acme/pods/d-eth0']);
    t.same(containers().sort(), ['a', 'd'], 'those of another configuration stay');
    await run(gc, { 'cni.dev/attachments': [] });
    t.same(containers(), ['d']);
  });

  t.test('CHECK', async (t) => {
    await t.rejects(run({ CNI_COMMAND: 'CHECK', CNI_CONTAINERID: 'nobody' }), code(3));
    const d = { CNI_COMMAND: 'CHECK', CNI_CONTAINERID: 'd' };
    await t.rejects(run(d, { name: 'others' }), { cniCode: 7, message: /prevResult is missing/ });
    await t.rejects(run(d, { name: 'others', prevResult: { interfaces: 1 } }), code(7));
    await t.rejects(run(d, { name: 'others', prevResult: {} }), {
      cniCode: CniCode.different,
      message: /has no interface eth0/,
    });
  });
});

interface Run {
  readonly code: number;
  readonly stdout: string;
}

/** Run the front as a runtime does. */
function front(script: string, environment: Readonly<Record<string, string>>, stdin: string): Promise<Run> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], ...environment };
    const child = execFile('/bin/sh', [script], { env }, (error, stdout) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout });
    });
    child.stdin?.end(stdin);
  });
}

function temporary(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-cni-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}

t.test('the front', async (t) => {
  const directory = temporary(t);
  const socket = join(directory, "it's a socket");
  const script = join(directory, 'weft');
  writeFileSync(script, frontScript(socket));
  chmodSync(script, 0o755);
  const input = (more: object = {}) => JSON.stringify({ ...CONFIGURATION, ...more }, undefined, 2);

  const version = await front(script, { CNI_COMMAND: 'VERSION' }, '{"cniVersion": "0.4.0"}');
  t.same(
    { ...version, stdout: JSON.parse(version.stdout) },
    {
      code: 0,
      stdout: { cniVersion: '0.4.0', supportedVersions: [...CNI_VERSIONS] },
    },
  );
  t.match(JSON.parse((await front(script, { CNI_COMMAND: 'VERSION' }, '')).stdout), { cniVersion: '1.1.0' });
  const away = await front(script, { ...ADD, CNI_COMMAND: 'STATUS' }, input());
  t.match(
    { ...away, stdout: JSON.parse(away.stdout) },
    {
      code: 1,
      stdout: {
        cniVersion: '1.1.0',
        code: 50,
        msg: 'the agent of Weft does not answer',
        details: /running with --cni/,
      },
    },
  );
  // A folder of commands without curl.
  const withoutCurl = await front(script, { ...ADD, PATH: directory }, '');
  t.match(withoutCurl, { code: 1, stdout: /"code":11,"msg":"curl is not installed"/ });

  const agent = new FakeAgent();
  const plugin = new CniPlugin({ agent, state: new FakeState(), logger: silentLogger });
  const server = await serveCni(socket, plugin, silentLogger);
  const other = await serveCni(join(directory, 'other'), plugin, silentLogger);
  t.teardown(() => Promise.all([server.close(), other.close()]));
  const added = await front(script, { ...ADD, CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=größe' }, input());
  t.equal(added.code, 0);
  t.match(JSON.parse(added.stdout), { cniVersion: '1.1.0', interfaces: [{ name: 'lo' }, { name: 'eth0' }] });
  const twice = await front(script, ADD, input({ cniVersion: '0.4.0' }));
  t.match(
    { ...twice, stdout: JSON.parse(twice.stdout) },
    { code: 1, stdout: { cniVersion: '0.4.0', code: 101 } },
  );
  const elsewhere = input({ socket: join(directory, 'other') });
  t.same(await front(script, { ...ADD, CNI_COMMAND: 'DEL', WEFT_CNI_SOCKET: '' }, elsewhere), {
    code: 0,
    stdout: '',
  });
  t.equal(agent.attached.size, 0);
  const broken = await front(script, ADD, '{"cniVersion": "1.0.0", ');
  t.match({ ...broken, stdout: JSON.parse(broken.stdout) }, { code: 1, stdout: { code: 6, msg: /no JSON/ } });
  const nothing = await front(script, ADD, '');
  t.match({ ...nothing, stdout: JSON.parse(nothing.stdout) }, { code: 1, stdout: { code: 6 } });
});

t.test('installation', async (t) => {
  const root = temporary(t);
  const events: string[] = [];
  const note = ({ event, path }: { readonly event?: string; readonly path?: string }): void => {
    events.push(`${event} ${path?.slice(root.length)}`);
  };
  const logger = { ...silentLogger, info: note } as unknown as Logger;
  const install = (network = 'pods') =>
    installCni({ root, socket: '/run/weft/cni.sock', tenant: 'acme', network, logger });
  const bin = join(root, 'opt/cni/bin/weft');
  const list = join(root, 'etc/cni/net.d/10-weft.conflist');
  await install();
  t.equal(statSync(bin).mode & 0o777, 0o755);
  t.match(readFileSync(bin, 'utf8'), /^#!\/bin\/sh\n[^]*socket='\/run\/weft\/cni.sock'/);
  t.match(JSON.parse(readFileSync(list, 'utf8')), {
    cniVersion: '1.0.0',
    name: 'weft',
    plugins: [{ type: 'weft', tenant: 'acme', network: 'pods' }],
  });
  await install();
  await install('others');
  t.match(readFileSync(list, 'utf8'), /"others"/);
  const own = JSON.stringify({ cniVersion: '1.0.0', name: 'mine', plugins: [] });
  writeFileSync(list, own);
  await install();
  t.equal(readFileSync(list, 'utf8'), own, 'a list that people wrote stays');
  t.same(events, [
    'cni.installed /opt/cni/bin/weft',
    'cni.installed /etc/cni/net.d/10-weft.conflist',
    'cni.unchanged /opt/cni/bin/weft',
    'cni.unchanged /etc/cni/net.d/10-weft.conflist',
    'cni.unchanged /opt/cni/bin/weft',
    'cni.replaced /etc/cni/net.d/10-weft.conflist',
    'cni.unchanged /opt/cni/bin/weft',
    'cni.kept /etc/cni/net.d/10-weft.conflist',
  ]);
  writeFileSync(bin, '#!/bin/sh\necho "somebody else"\n');
  await t.rejects(install(), { code: 'agent.cni.foreign', fix: /another folder/ });
  t.match(readFileSync(bin, 'utf8'), 'somebody else');
  const file = join(root, 'a-file');
  writeFileSync(file, '');
  const impossible = installCni({ root: file, socket: '/s', tenant: 'a', network: 'b', logger });
  await t.rejects(impossible, { code: 'agent.cni.install' });
});
