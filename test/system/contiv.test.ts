/** A policy made by the requests of contiv's client decides about the packets of endpoints that are in its groups, and ends with it. */
import { request } from 'node:http';
import t from 'tap';
import { LocalAttach } from '../../agent/index.js';
import { Lab, type LabNamespace } from '../../topologies/lab/index.js';
import { spawnAgent } from './agent-support.js';
import { ControllerProcess } from './weft-processes.js';

t.setTimeout(120_000);
const lab = await Lab.create({ name: 'contiv', hosts: 1 });
t.teardown(() => lab.destroy());
const controller = new ControllerProcess(lab);
await controller.start();
const [host] = lab.hosts.values();
if (host === undefined) throw new Error('a lab without hosts');
const agent = await spawnAgent(lab, host, { controller: controller.hub, vtepIp: host.vtepIp });
await controller.settled([host.name]);

/** As Go's client sends it: without a content type; 200 is success. */
async function send(method: 'POST' | 'DELETE', path: string, body?: object): Promise<void> {
  const status = await new Promise<string>((resolve, reject) => {
    const sent = request(`${controller.url}/api/v1/${path}/`, { method }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(`${answer.statusCode} ${answer.statusMessage}`));
    });
    sent.once('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
  if (status !== '200 OK') throw new Error(`${method} ${path}: ${status}`);
  // The client does not wait for the switches; the test does.
  await controller.request('POST', '/v1/apply?wait=acknowledged', [{ kind: 'Tenant', name: 'default' }]);
}

const tenantName = 'default';
const policyName = 'web';
const rule = (ruleId: string, members: object) =>
  send('POST', `rules/default:web:${ruleId}`, {
    tenantName,
    policyName,
    ruleId,
    direction: 'in',
    protocol: 'tcp',
    ...members,
  });
await send('POST', 'networks/default:net1', {
  tenantName,
  networkName: 'net1',
  encap: 'vxlan',
  subnet: '10.1.1.0/24',
});
await send('POST', 'policys/default:web', { tenantName, policyName });
await send('POST', 'endpointGroups/default:servers', {
  tenantName,
  groupName: 'servers',
  networkName: 'net1',
  policies: ['web'],
});
await send('POST', 'endpointGroups/default:clients', {
  tenantName,
  groupName: 'clients',
  networkName: 'net1',
});

async function attach(
  endpoint: string,
  group: string,
): Promise<{ namespace: LabNamespace; address: string }> {
  const namespace = await lab.namespace(endpoint);
  const params = { tenant: 'default', network: 'net1', endpoint, netns: namespace.path, groups: [group] };
  const result = await agent.call(LocalAttach, params, { deadlineMs: 30_000 });
  return { namespace, address: result.endpoint.ip?.split('/')[0] ?? '' };
}
const server = await attach('server', 'servers');
const client = await attach('client', 'clients');
const other = await attach('other', 'servers');

/** Nobody listens: a connection that may be is refused by the server itself. */
const CONNECT = `
import socket, sys
s = socket.socket(); s.settimeout(1.5)
try: s.connect((sys.argv[1], 80))
except ConnectionRefusedError: print("answered")
except (TimeoutError, socket.timeout): print("nothing")
`;
const connect = async ({ namespace }: { namespace: LabNamespace }): Promise<string> =>
  (await namespace.exec(['/usr/bin/python3', '-c', CONNECT, server.address])).trim();

await t.test('rules decide as they come and go', async (t) => {
  t.equal(await connect(client), 'answered', 'no rule yet');
  await rule('1', { priority: 1, action: 'deny' });
  t.equal(await connect(client), 'nothing', 'netctl policy rule-add --protocol tcp --action deny web 1');
  await rule('2', { priority: 10, action: 'allow', fromEndpointGroup: 'clients', port: 80 });
  t.equal(await connect(client), 'answered', 'a rule of higher priority for the group of clients');
  t.equal(await connect(other), 'nothing', 'others are not in it');
  await send('DELETE', 'rules/default:web:1');
  t.equal(await connect(other), 'answered', 'netctl policy rule-rm web 1');
});
