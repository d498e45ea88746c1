/** What is said to `weft controller` over HTTP: netplugin's client, rubbish and worse, documents with every kind of mistake. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ControllerProcess, http, type HttpAnswer } from './process-support.js';

const folder = mkdtempSync(join(tmpdir(), `weft-process-${process.pid}-`));
t.setTimeout(600_000);
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

type Document = Readonly<Record<string, unknown>>;
const example = (name: string): Document =>
  JSON.parse(readFileSync(`examples/netplugin/${name}.json`, 'utf8')) as Document;

/** The members of netplugin's Go structures (netmaster/intent/config.go), in their order. */
const endpointMembers = { Container: '', Host: '', AttachUUID: '', IPAddress: '' };
const GO = {
  InfraNetworks: null,
  Hosts: [{ Name: '', Intf: '', VtepIP: '', NetID: '' }],
  Tenants: [
    {
      Name: '',
      DefaultNetType: '',
      SubnetPool: '',
      AllocSubnetLen: 0,
      VLANs: '',
      VXLANs: '',
      Networks: [
        {
          Name: '',
          PktTagType: '',
          PktTag: '',
          SubnetCIDR: '',
          DefaultGw: '',
          Endpoints: [endpointMembers],
        },
      ],
    },
  ],
  HostBindings: [endpointMembers],
};

/** What Go's encoding/json makes of a value: keys without regard to case, every member written, absent lists as null. */
function goValue(shape: unknown, value: unknown): unknown {
  if (Array.isArray(shape)) return Array.isArray(value) ? value.map((item) => goValue(shape[0], item)) : null;
  if (typeof shape !== 'object' || shape === null) return value ?? shape;
  const given = new Map(Object.entries(value ?? {}).map(([key, item]) => [key.toLowerCase(), item]));
  return Object.fromEntries(
    Object.entries(shape).map(([key, item]) => [key, goValue(item, given.get(key.toLowerCase()))]),
  );
}

/** The ancestor's `netdcli`: what Go's http.Client sends for it. */
class Netdcli {
  constructor(private readonly controller: ControllerProcess) {}

  post(verb: string, document: Document): Promise<HttpAnswer> {
    const body = JSON.stringify(goValue(GO, document));
    return this.#send('POST', `/${verb}`, body);
  }

  async get(path: string): Promise<readonly Document[]> {
    const { status, body } = await this.#send('GET', path);
    if (status !== 200) throw new Error(`${path}: ${status}`);
    return JSON.parse(body) as Document[];
  }

  #send(method: string, path: string, body?: string): Promise<HttpAnswer> {
    const headers = { 'user-agent': 'Go 1.1 package http', 'accept-encoding': 'gzip' };
    const content = {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body ?? '')),
    };
    return http(this.controller, method, path, {
      headers: body === undefined ? headers : { ...headers, ...content },
      ...(body === undefined ? {} : { body }),
    });
  }
}

await t.test("netplugin's client works unchanged, with the values that its users know", async (t) => {
  const controller = await ControllerProcess.start(t, join(folder, 'netplugin'));
  const netdcli = new Netdcli(controller);
  const endpoints = async () =>
    (await netdcli.get('/endpoints')).map(({ id, ipAddress, macAddress, homingHost, vtepIP }) =>
      [id, ipAddress, macAddress, homingHost, vtepIP].join(' ').trimEnd(),
    );
  t.same(await netdcli.get('/networks'), [], 'an array, even of nothing');
  t.equal((await netdcli.post('desired-config', {})).status, 200, 'the empty document');
  for (const time of ['first', 'second']) {
    const { status, reason } = await netdcli.post('desired-config', example('one_host_multiple_nets'));
    t.equal(status, 200, `${time} time: ${reason}`);
    t.same(
      (await netdcli.get('/networks')).map(({ id, pktTagType, pktTag, subnetIP, subnetLen, epCount }) =>
        [id, pktTagType, pktTag, `${String(subnetIP)}/${String(subnetLen)}`, epCount].join(' '),
      ),
      ['orange vlan 11 11.1.0.0/24 2', 'purple vlan 12 11.1.1.0/24 2'],
    );
    t.same(await endpoints(), [
      'orange-myContainer1 11.1.0.1 02:02:0b:01:00:01 host1',
      'orange-myContainer2 11.1.0.2 02:02:0b:01:00:02 host1',
      'purple-myContainer3 11.1.1.1 02:02:0b:01:01:01 host1',
      'purple-myContainer4 11.1.1.2 02:02:0b:01:01:02 host1',
    ]);
  }
  t.same(await netdcli.get('//network/purple'), [
    {
      id: 'purple',
      tenant: 'tenant-one',
      pktTagType: 'vlan',
      pktTag: 12,
      extPktTag: 0,
      subnetIP: '11.1.1.0',
      subnetLen: 24,
      defaultGw: '',
      epCount: 2,
    },
  ]);
  t.match(await netdcli.get('//endpoint/orange-myContainer2'), [{ id: 'orange-myContainer2' }]);
  await t.rejects(netdcli.get('//network/green'), /404/);

  const newcomer = { Container: 'myContainer5', Host: 'host1' };
  const orange = (...Endpoints: Document[]) => ({
    Tenants: [{ Name: 'tenant-one', Networks: [{ Name: 'orange', Endpoints }] }],
  });
  t.equal((await netdcli.post('add-config', orange(newcomer))).status, 200);
  t.match(await netdcli.get('//endpoint/orange-myContainer5'), [{ ipAddress: '11.1.0.3' }]);
  t.equal(
    (await netdcli.post('del-config', orange({ Container: 'myContainer1' }, { Container: 'myContainer2' })))
      .status,
    200,
  );
  t.match(await netdcli.get('//network/orange'), [{ epCount: 1 }]);
  const inUse = await netdcli.post('del-config', orange());
  t.equal(inUse.status, 409);
  t.match(inUse.reason, /myContainer5.*delete them/, 'its client shows nothing but the status line');
  t.equal((await netdcli.post('del-config', orange(newcomer))).status, 200);
  t.equal((await netdcli.post('del-config', orange())).status, 200, 'a network without endpoints');
  t.same(
    (await netdcli.get('/networks')).map(({ id }) => id),
    ['purple'],
  );

  t.equal((await netdcli.post('desired-config', {})).status, 200);
  t.equal((await netdcli.post('desired-config', example('two_hosts_multiple_tenants'))).status, 200);
  t.same(
    (await netdcli.get('/networks')).map(({ tenant, id, pktTagType, pktTag, subnetIP }) =>
      [tenant, id, pktTagType, pktTag, subnetIP].join(' '),
    ),
    ['tenant-one orange vxlan 10001 11.1.0.0', 'tenant-two orange vxlan 10002 11.1.0.0'],
  );
  const oneTenant = [
    'orange-myContainer1 11.1.0.1 02:02:0b:01:00:01 host1 192.168.2.10',
    'orange-myContainer3 11.1.0.2 02:02:0b:01:00:02 host2 192.168.2.11',
  ];
  t.same(await endpoints(), [...oneTenant, ...oneTenant], 'the same addresses and MACs twice');

  const bindings = JSON.parse(readFileSync('examples/netplugin/late_bindings.json', 'utf8')) as Document[];
  t.equal((await netdcli.post('host-bindings-config', { HostBindings: bindings })).status, 200);
  t.match(await netdcli.get('//endpoint/orange-myContainer1'), [
    { attachUUID: '6f1c2a7e0a9d', homingHost: 'host1' },
    { attachUUID: '6f1c2a7e0a9d', homingHost: 'host1' },
  ]);
  const bare = await controller.post('/host-bindings-config', JSON.stringify(bindings));
  t.equal(bare.status, 200, 'a bare array as well');
});

/** Sends bytes as they are; the status lines that come back until the controller closes, or has answered all. */
async function raw({ http: address }: ControllerProcess, bytes: string | Buffer): Promise<string> {
  const cut = address.lastIndexOf(':');
  return await new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(address.slice(cut + 1)), address.slice(0, cut), () => socket.end(bytes));
    socket.setTimeout(10_000, () => socket.destroy(new Error('neither answered nor closed')));
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    // a reset is an answer, too: it was refused while it was still being sent
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(text) : reject(error),
    );
    socket.on('close', () => resolve(text));
  });
}

const limits = join(folder, 'limits.yaml');
writeFileSync(limits, 'http: {maxBodyBytes: 250000}\n');

await t.test('what no client of ours would send: refused, and the process goes on', async (t) => {
  const controller = await ControllerProcess.start(t, join(folder, 'hostile'), '--config', limits);
  const before = await controller.get('/v1/tenants');
  const deep = '['.repeat(200_000);
  const refusals: [string, number, string, string, string?][] = [
    ['oversized', 413, '/v1/apply', ' '.repeat(250_001)],
    ['oversized, netplugin', 413, '/desired-config', ' '.repeat(250_001)],
    ['empty', 400, '/v1/apply', ''],
    ['garbage', 400, '/v1/apply', '\u0000\u0001{{{'],
    ['garbage, netplugin', 400, '/desired-config', 'kein JSON'],
    ['half a document', 400, '/desired-config', '{"Tenants": [{"Name": "a"'],
    ['nested deeply', 400, '/v1/apply', deep],
    ['nested deeply, netplugin', 400, '/add-config', deep],
    ['a number', 422, '/v1/apply', '7'],
    ['a text, netplugin', 422, '/desired-config', '"tenants"'],
    ['an array where an object belongs', 422, '/desired-config', '[1, 2]'],
    ['a prototype', 422, '/v1/apply', '{"kind": "Tenant", "name": "a", "__proto__": {"x": 1}}'],
    ['a kind that is not one', 422, '/v1/apply', '{"kind": "constructor", "name": "a"}'],
    ['files that are none', 400, '/v1/apply', '{"files": [1]}'],
    ['refs that are none', 400, '/v1/delete', '{"refs": {"kind": "Tenant"}}'],
    ['all that is not true', 400, '/v1/delete', '{"all": "yes"}'],
    ['another content type', 415, '/v1/apply', '{}', 'text/plain'],
    ['a form', 415, '/desired-config', 'a=b', 'application/x-www-form-urlencoded'],
    ['a parameter that is none', 400, '/v1/apply?mode=everything', '{}'],
    [
      'a bomb of aliases',
      400,
      '/v1/apply',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghij']
        .map((name, index) => `${name}: &${name} [${`*${'abcdefghi'[index] ?? 'a'},`.repeat(9)}]`)
        .join('\n')}\n`,
      'application/yaml',
    ],
  ];
  for (const [what, status, path, body, contentType] of refusals) {
    const answer = await controller.post(path, body, contentType);
    t.equal(answer.status, status, `${what}: ${answer.body.slice(0, 200)}`);
    t.match(answer.json, { code: /^[a-z]+\.[a-z.-]+$/, message: /./ }, `${what}: says why`);
  }
  const foreign = await http(controller, 'GET', '/v1/tenants', { headers: { host: 'evil.example' } });
  t.equal(foreign.status, 421, 'another name: DNS rebinding');

  const host = 'Host: localhost\r\n';
  const bytes: [string, string | Buffer, RegExp][] = [
    ['not HTTP at all', Buffer.from('16030100c8010000c4', 'hex'), /^HTTP\/1\.1 400 |^$/],
    ['a header without end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(100_000)}`, /^HTTP\/1\.1 431 |^$/],
    [
      'a path of 20,000 letters',
      `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`,
      /^HTTP\/1\.1 4\d\d |^$/,
    ],
    ['a path out of the tree', `GET /../../etc/passwd HTTP/1.1\r\n${host}\r\n`, /^HTTP\/1\.1 404 /],
    [
      'two lengths',
      `POST /v1/apply HTTP/1.1\r\n${host}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a length and chunks',
      `POST /v1/apply HTTP/1.1\r\n${host}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a body that breaks off',
      `POST /v1/apply HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: 900\r\n\r\n{`,
      /^HTTP\/1\.1 400 |^$/,
    ],
    ['a method that is none', `FETCH /v1/tenants HTTP/1.1\r\n${host}\r\n`, /^HTTP\/1\.1 400 /],
  ];
  for (const [what, sent, expected] of bytes) t.match(await raw(controller, sent), expected, what);

  t.same(await controller.get('/v1/tenants'), before, 'nothing was changed');
  t.same(
    controller.lines.filter(({ level }) => level === 'error'),
    [],
    'nothing broke',
  );
  t.equal((await http(controller, 'GET', '/readyz')).status, 200);
});

await t.test(
  'documents with every kind of mistake: refused with the path, nothing half applied',
  async (t) => {
    const controller = await ControllerProcess.start(t, join(folder, 'mistakes'));
    const given = [
      { kind: 'Tenant', name: 'acme', vlans: '11-12', vnis: '20001-20002', subnetPool: '10.0.0.0/16' },
      { kind: 'Network', tenant: 'acme', name: 'web', subnet: '10.0.1.0/24', encapsulation: 'vlan', tag: 11 },
      { kind: 'Endpoint', tenant: 'acme', network: 'web', name: 'a', ip: '10.0.1.7' },
      { kind: 'Host', name: 'h1', vtepIp: '192.0.2.1' },
    ];
    t.equal((await controller.post('/v1/apply', JSON.stringify(given))).status, 200);
    const everything = async () =>
      await Promise.all(
        ['tenants', 'networks', 'endpoints', 'hosts', 'hostbindings'].map((kind) =>
          controller.get(`/v1/${kind}`),
        ),
      );
    const before = await everything();

    // Each after an object that is in order, which must not be made either.
    const good = { kind: 'Tenant', name: 'good' };
    const network = (rest: object) => ({ kind: 'Network', tenant: 'acme', name: 'n', ...rest });
    const endpoint = (rest: object) => ({
      kind: 'Endpoint',
      tenant: 'acme',
      network: 'web',
      name: 'b',
      ...rest,
    });
    const intents: [number, string, string | RegExp, object][] = [
      [422, 'intent.kind', /./, { kind: 'Netwrok', tenant: 'acme', name: 'n' }],
      [422, 'intent.missing', 'Network acme: name', { kind: 'Network', tenant: 'acme' }],
      [422, 'intent.value', 'Network acme/n: tag', network({ tag: 'eleven' })],
      [422, 'intent.unknown-key', 'Network acme/n: subnett', network({ subnett: '10.0.2.0/24' })],
      [422, 'network.tenant.unknown', 'Network nobody/n: tenant', network({ tenant: 'nobody' })],
      [422, 'network.subnet', 'Network acme/n: subnet', network({ subnet: '10.0.2.0/33' })],
      [409, 'network.subnet.overlap', 'Network acme/n: subnet', network({ subnet: '10.0.1.128/25' })],
      [
        422,
        'network.gateway',
        'Network acme/n: gateway',
        network({ subnet: '10.0.2.0/24', gateway: '10.0.3.1' }),
      ],
      [422, 'network.tag', 'Network acme/n: tag', network({ encapsulation: 'vlan', tag: 4095 })],
      [409, 'network.tag.taken', 'Network acme/n: tag', network({ encapsulation: 'vlan', tag: 11 })],
      [422, 'endpoint.ip.outside', 'Endpoint acme/web/b: ip', endpoint({ ip: '10.9.9.9' })],
      [422, 'endpoint.ip.reserved', 'Endpoint acme/web/b: ip', endpoint({ ip: '10.0.1.255' })],
      [409, 'endpoint.ip.taken', 'Endpoint acme/web/b: ip', endpoint({ ip: '10.0.1.7' })],
      [422, 'endpoint.mac', 'Endpoint acme/web/b: mac', endpoint({ mac: '01:00:00:00:00:01' })],
      [422, 'network.unknown', 'Endpoint acme/none/b: network', endpoint({ network: 'none' })],
      [409, 'host.vtep.taken', 'Host h2: vtepIp', { kind: 'Host', name: 'h2', vtepIp: '192.0.2.1' }],
      [
        422,
        'binding.endpoint.unknown',
        'HostBinding acme/web/zz: name',
        { kind: 'HostBinding', tenant: 'acme', network: 'web', name: 'zz', host: 'h1' },
      ],
      [422, 'intent.duplicate', /./, good],
    ];
    for (const [status, code, path, wrong] of intents) {
      const answer = await controller.post('/v1/apply', JSON.stringify([good, wrong]));
      t.match({ status: answer.status, ...answer.json }, { status, code, path, fix: /./ }, code);
    }
    const tenant = (rest: object) => ({ Tenants: [{ Name: 'good' }, { Name: 'two', ...rest }] });
    const inNetwork = (rest: object) => tenant({ Networks: [{ Name: 'n', ...rest }] });
    const documents: [number, string, object][] = [
      [422, '/Tenants', { Tenants: 7 }],
      [422, '/Tenants/1/Name', { Tenants: [{ Name: 'good' }, {}] }],
      [422, '/Tenants/1/DefaultNetType', tenant({ DefaultNetType: 'token ring' })],
      [422, 'Tenant two: subnetPool', tenant({ SubnetPool: '11.1.0.0' })],
      [422, 'Tenant two: allocationLength', tenant({ SubnetPool: '11.1.0.0/16', AllocSubnetLen: 8 })],
      [422, 'Tenant two: vlans', tenant({ VLANs: '28-11' })],
      [422, 'Tenant two: vnis', tenant({ VXLANs: 'all' })],
      [422, '/Tenants/1/Networks/0/PktTagType', inNetwork({ PktTagType: 'mpls' })],
      [422, 'Network two/n: tag', inNetwork({ PktTagType: 'vlan', PktTag: '4096' })],
      [422, 'Network two/n: subnet', inNetwork({ SubnetCIDR: '11.1.0.0/40' })],
      [422, 'Network two/n: gateway', inNetwork({ SubnetCIDR: '11.1.0.0/24', DefaultGw: '12.0.0.1' })],
      [422, 'Endpoint two/n/c: ip', inNetwork({ Endpoints: [{ Container: 'c', IPAddress: 'x' }] })],
      [422, '/Tenants/1/Networks/0/Endpoints', inNetwork({ Endpoints: { Container: 'c' } })],
      [422, 'Host h9: vtepIp', { Hosts: [{ Name: 'h9', VtepIP: 'nine' }], ...tenant({}) }],
      [422, '/HostBindings/0', { HostBindings: [{ Container: 'nobody', Host: 'h1' }], ...tenant({}) }],
    ];
    for (const [status, path, document] of documents) {
      const answer = await controller.post('/desired-config', JSON.stringify(document));
      t.match(
        { status: answer.status, ...answer.json },
        { status, path: new RegExp(`^${path}`), fix: /./ },
        path,
      );
      t.ok(answer.reason.includes(path), 'in the status line as well');
    }
    t.same(await everything(), before, 'not the half of any of them');
  },
);
