/** Names asked for from real containers' namespaces, of real agents and a real controller; answers are read by others: scapy, tshark. */
import { createSocket } from 'node:dgram';
import t from 'tap';
import { type LocalAttachResult, LocalAttach } from '../../agent/index.js';
import packet from 'dns-packet';
import { Lab, type LabNamespace, until } from '../../topologies/lab/index.js';
import { type SpawnedAgent, spawnAgent } from './agent-support.js';
import { ControllerProcess } from './weft-processes.js';

t.setTimeout(180_000);

const lab = await Lab.create({ name: 'dns', hosts: 2 });
t.teardown(() => lab.destroy());
const controller = new ControllerProcess(lab);
await controller.start();
const intents = ['acme', 'rival'].flatMap((tenant) => [
  { kind: 'Tenant', name: tenant, defaultAction: 'deny' },
  { kind: 'Network', tenant, name: 'web', encapsulation: 'vxlan', subnet: '10.1.1.0/24' },
  { kind: 'Network', tenant, name: 'db', encapsulation: 'vxlan', subnet: '10.1.2.0/24' },
  { kind: 'Group', tenant, name: 'everybody', networks: ['web', 'db'] },
]);
await controller.request('POST', '/v1/apply', intents);

/** A resolver elsewhere: everything under `example.org` is 192.0.2.1. */
const upstream = createSocket('udp4');
let forwarded = 0;
upstream.on('message', (message, { address, port }) => {
  const { id, questions = [] } = packet.decode(message);
  forwarded += 1;
  const [{ name = '' } = {}] = questions;
  const answers = name.endsWith('example.org')
    ? [{ type: 'A' as const, name, ttl: 60, data: '192.0.2.1' }]
    : [];
  const flags = packet.RECURSION_AVAILABLE | (answers.length > 0 ? 0 : 3);
  upstream.send(packet.encode({ type: 'response', id: id ?? 0, flags, questions, answers }), port, address);
});
await new Promise<void>((resolve) => upstream.bind({ address: lab.managementAddress, port: 0 }, resolve));
t.teardown(() => upstream.close());
const dnsForward = `${lab.managementAddress}#${upstream.address().port}`;

const agents = new Map<string, SpawnedAgent>();
for (const host of lab.hosts.values()) {
  agents.set(
    host.name,
    await spawnAgent(lab, host, { controller: controller.hub, vtepIp: host.vtepIp, dns: true, dnsForward }),
  );
}
await controller.settled([...lab.hosts.keys()]);

interface Attached extends LocalAttachResult {
  readonly namespace: LabNamespace;
}

async function attach(host: string, tenant: string, network: string, endpoint: string): Promise<Attached> {
  const namespace = await lab.namespace(`${tenant}-${endpoint.toLowerCase()}`);
  const params = { tenant, network, endpoint, netns: namespace.path };
  const attached = await agents.get(host)?.call(LocalAttach, params, { deadlineMs: 30_000 });
  if (attached === undefined) throw new Error(`no agent on ${host}`);
  return { namespace, ...attached };
}

const [a, b, secret] = await Promise.all([
  attach('h1', 'acme', 'web', 'a'),
  attach('h2', 'acme', 'db', 'myContainer2'),
  attach('h1', 'rival', 'web', 'secret'),
]);
const addressOf = ({ endpoint }: LocalAttachResult): string => endpoint.ip?.split('/')[0] ?? '';

/** As a program of another maker asks: `answers` of a type, the response code, over UDP or TCP. */
async function ask(from: Attached, name: string, type = 'A', transport: 'udp' | 'tcp' = 'udp') {
  const program = `
import json, socket, struct
from scapy.layers.dns import DNS, DNSQR
question = bytes(DNS(id=4711, rd=1, qd=DNSQR(qname=${JSON.stringify(name)}, qtype=${JSON.stringify(type)})))
s = socket.socket(socket.AF_INET, socket.SOCK_${transport === 'udp' ? 'DGRAM' : 'STREAM'})
s.settimeout(10)
s.connect(('169.254.53.53', 53))
if ${transport === 'tcp' ? 'True' : 'False'}:
    s.sendall(struct.pack('!H', len(question)) + question)
    length, data = struct.unpack('!H', s.recv(2))[0], b''
    while len(data) < length: data += s.recv(length)
else:
    s.send(question)
    data = s.recv(4096)
answer = DNS(data)
text = lambda value: value.decode() if isinstance(value, bytes) else value
records = [text(answer.an[i].rdata) for i in range(answer.ancount)]
print(json.dumps({'id': answer.id, 'rcode': answer.rcode, 'records': records}))
`;
  const text = await from.namespace.exec(['/usr/bin/python3', '-c', program]);
  return JSON.parse(String(text)) as { id: number; rcode: number; records: string[] };
}

t.test('names of the tenant, and of no other', async (t) => {
  const answer = (records: string[], rcode = 0) => ({ id: 4711, rcode, records });
  t.strictSame(await ask(a, 'mycontainer2.db.weft.internal'), answer([addressOf(b)]));
  t.strictSame(await ask(a, 'a.weft.internal'), answer([addressOf(a)]), 'in its own network');
  t.strictSame(await ask(b, 'A.WEB.weft.internal', 'A', 'tcp'), answer([addressOf(a)]));
  t.strictSame(await ask(a, 'a.web.weft.internal', 'AAAA'), answer([]), 'it has no IPv6 address');
  t.strictSame(await ask(a, 'secret.web.weft.internal'), answer([], 3));
  t.strictSame(await ask(secret, 'secret.web.weft.internal'), answer([addressOf(secret)]));
  t.equal(addressOf(secret), addressOf(a), 'the two have one address, and are told apart');
  t.strictSame(await ask(secret, 'a.web.weft.internal'), answer([], 3));
});

t.test('groups and addresses', async (t) => {
  const { records } = await ask(a, 'everybody.groups.weft.internal');
  t.strictSame(records.toSorted(), [addressOf(a), addressOf(b)].toSorted());
  const reverse = `${addressOf(b).split('.').toReversed().join('.')}.in-addr.arpa`;
  t.strictSame((await ask(a, reverse, 'PTR')).records, ['myContainer2.db.weft.internal.']);
});

t.test('all other names come from the resolvers of the host', async (t) => {
  t.strictSame(await ask(a, 'www.example.org'), { id: 4711, rcode: 0, records: ['192.0.2.1'] });
  t.equal((await ask(a, 'nowhere.example.net')).rcode, 3);
  t.equal(forwarded, 2, 'and nothing else was asked there');
});

t.test('the controller is away: what was asked before is answered, the rest fails at once', async (t) => {
  await controller.stop('SIGKILL');
  t.strictSame((await ask(a, 'mycontainer2.db.weft.internal')).records, [addressOf(b)]);
  t.equal((await ask(a, 'never-asked.db.weft.internal')).rcode, 2);
  t.equal((await ask(a, 'www.example.org')).rcode, 0);
  await controller.start();
  await controller.settled([...lab.hosts.keys()]);
  t.equal(await controller.metric('weft_entries_sent_total'), 0);
  await until(
    'names to be known again',
    async () => (await ask(a, 'never-asked.db.weft.internal')).rcode === 3,
  );
});
