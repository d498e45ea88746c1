// contiv's client against the REST API: what `netctl` sends for each of its commands, and what it makes of the answers; objects of both
// sides seen from the other; what has no counterpart; objects there and back.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { ApiBackend } from '../../controller/api/backend.js';
import { createApi } from '../../controller/api/server.js';
import { parseConfig } from '../../controller/config/load.js';
import { createLog } from '../../controller/log.js';
import { createMetrics } from '../../controller/metrics.js';
import { Model } from '../../controller/model/index.js';
import { LevelStore } from '../../controller/store/level.js';

const folder = mkdtempSync(join(tmpdir(), 'weft-contiv-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
let folders = 0;

type Json = Readonly<Record<string, unknown>>;
type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** What contivmodel's client returns for an answer: a value, or the error that netctl shows. */
type Seen = { readonly value: unknown } | { readonly error: string };

async function open(t: Test) {
  const store = await LevelStore.open(join(folder, String(++folders)));
  const model = await Model.open(store, {});
  const api = await createApi({
    backend: {
      model,
      status: () => ({ version: '1.2.3', controllerId: 'c', datapaths: [], hosts: [] }),
      onEvent: () => () => undefined,
      onPackets: () => () => undefined,
      metrics: () => [],
    } as unknown as ApiBackend,
    config: parseConfig('http: { requestsPerSecond: 100000 }', { overrides: { http: '127.0.0.1:0' } }).http,
    log: createLog({ level: 'silent' }),
    metrics: createMetrics({ process: false }),
  });
  t.teardown(async () => {
    await api.close();
    await model.close();
    await store.close();
  });

  /** As Go's client sends it (JSON without a content type) and judges it. */
  const client = async (method: Method, url: string, body?: Json): Promise<Seen> => {
    const answer = await api.inject({
      method,
      url,
      ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
    });
    if (answer.statusCode === 404)
      return method === 'DELETE' ? { value: undefined } : { error: 'Page not found!' };
    if (answer.statusCode === 500) return { error: answer.payload.trimEnd() };
    if (answer.statusCode !== 200) return { error: `${answer.statusCode} ${answer.statusMessage}` };
    return {
      value:
        method === 'GET' || answer.payload.startsWith('"') ? answer.json<unknown>() : answer.json<unknown>(),
    };
  };
  const apply = async (text: string) => {
    const { objects, problems } = model.parse(text);
    if (problems.length > 0) throw new Error(problems[0]?.message);
    await model.apply(objects, { mode: 'add' });
  };
  return { api, model, client, apply };
}

const NET1 = {
  tenantName: 'default',
  networkName: 'net1',
  nwType: 'data',
  encap: 'vxlan',
  subnet: '10.1.1.0/24',
  gateway: '10.1.1.254',
};
const inDefault = { Tenant: { type: 'tenant', key: 'default' } };
const groupLinks = { AppProfile: {}, NetProfile: {}, Network: {}, Tenant: {} };

/** What a command of netctl sends, one after the other, and the last answer as it prints it. */
const SESSION: readonly {
  readonly command: string;
  readonly sends: readonly (readonly [Method, string, Json?])[];
  readonly prints: unknown;
}[] = [
  {
    command: 'tenant ls',
    sends: [['GET', '/api/v1/tenants/']],
    prints: [{ key: 'default', tenantName: 'default', 'link-sets': {} }],
  },
  {
    command: 'net ls, before there is anything',
    sends: [
      ['GET', '/api/v1/tenants/default/'],
      ['GET', '/api/v1/networks/'],
    ],
    prints: [],
  },
  {
    command: 'global set --fwd-mode bridge',
    sends: [
      ['GET', '/api/v1/globals/global/'],
      [
        'POST',
        '/api/v1/globals/global/',
        {
          arpMode: 'proxy',
          fwdMode: 'bridge',
          name: 'global',
          networkInfraType: 'default',
          pvtSubnet: '172.19.0.0/16',
        },
      ],
    ],
    prints: {
      key: 'global',
      name: 'global',
      networkInfraType: 'default',
      fwdMode: 'bridge',
      arpMode: 'proxy',
    },
  },
  {
    command: 'net create --subnet=10.1.1.0/24 --gateway=10.1.1.254 net1',
    sends: [['POST', '/api/v1/networks/default:net1/', { ...NET1, 'link-sets': {}, links: { Tenant: {} } }]],
    prints: { ...NET1, key: 'default:net1', pktTag: 4096, 'link-sets': {}, links: inDefault },
  },
  {
    command: 'net create --encap=vlan --pkt-tag=11 --subnet=20.1.1.0/24 --subnetv6=fd00:20::/64 vlan1',
    sends: [
      [
        'POST',
        '/api/v1/networks/default:vlan1/',
        {
          tenantName: 'default',
          networkName: 'vlan1',
          nwType: 'data',
          encap: 'vlan',
          pktTag: 11,
          subnet: '20.1.1.0/24',
          ipv6Subnet: 'fd00:20::/64',
          'link-sets': {},
          links: { Tenant: {} },
        },
      ],
    ],
    prints: { encap: 'vlan', pktTag: 11, subnet: '20.1.1.0/24', ipv6Subnet: 'fd00:20::/64' },
  },
  {
    command: 'policy create web',
    sends: [
      [
        'POST',
        '/api/v1/policys/default:web/',
        { policyName: 'web', tenantName: 'default', 'link-sets': {}, links: { Tenant: {} } },
      ],
    ],
    prints: { key: 'default:web', policyName: 'web', tenantName: 'default', links: inDefault },
  },
  {
    command: 'netprofile create --bandwidth "10 mbps" --dscp 46 --burst 100 gold',
    sends: [
      [
        'POST',
        '/api/v1/netprofiles/default:gold/',
        {
          DSCP: 46,
          bandwidth: '10 mbps',
          burst: 100,
          profileName: 'gold',
          tenantName: 'default',
          'link-sets': {},
          links: { Tenant: {} },
        },
      ],
    ],
    prints: { key: 'default:gold', DSCP: 46, bandwidth: '10 mbps', burst: 100, profileName: 'gold' },
  },
  {
    command: 'group create -policy=web -networkprofile gold net1 servers',
    sends: [
      [
        'POST',
        '/api/v1/endpointGroups/default:servers/',
        {
          groupName: 'servers',
          netProfile: 'gold',
          networkName: 'net1',
          policies: ['web'],
          tenantName: 'default',
          'link-sets': {},
          links: groupLinks,
        },
      ],
    ],
    prints: {
      key: 'default:servers',
      groupName: 'servers',
      networkName: 'net1',
      policies: ['web'],
      netProfile: 'gold',
      'link-sets': { Policies: { 'default:web': { type: 'policy', key: 'default:web' } } },
      links: {
        NetProfile: { type: 'netprofile', key: 'default:gold' },
        Network: { type: 'network', key: 'default:net1' },
      },
    },
  },
  {
    command: 'group create net1 clients',
    sends: [
      [
        'POST',
        '/api/v1/endpointGroups/default:clients/',
        {
          groupName: 'clients',
          networkName: 'net1',
          tenantName: 'default',
          'link-sets': {},
          links: groupLinks,
        },
      ],
    ],
    prints: { key: 'default:clients', networkName: 'net1' },
  },
  {
    command: 'policy rule-add -d in --protocol tcp --action deny web 1',
    sends: [
      [
        'POST',
        '/api/v1/rules/default:web:1/',
        {
          action: 'deny',
          direction: 'in',
          policyName: 'web',
          priority: 1,
          protocol: 'tcp',
          ruleId: '1',
          tenantName: 'default',
          'link-sets': {},
          links: { MatchEndpointGroup: {} },
        },
      ],
    ],
    prints: { key: 'default:web:1', action: 'deny', direction: 'in', priority: 1, protocol: 'tcp' },
  },
  {
    command: 'policy rule-add -d in -p 10 --protocol tcp --port 80 --from-group clients --action allow web 2',
    sends: [
      [
        'POST',
        '/api/v1/rules/default:web:2/',
        {
          action: 'allow',
          direction: 'in',
          fromEndpointGroup: 'clients',
          policyName: 'web',
          port: 80,
          priority: 10,
          protocol: 'tcp',
          ruleId: '2',
          tenantName: 'default',
          'link-sets': {},
          links: { MatchEndpointGroup: {} },
        },
      ],
    ],
    prints: {
      key: 'default:web:2',
      fromEndpointGroup: 'clients',
      port: 80,
      links: { MatchEndpointGroup: { type: 'endpointGroup', key: 'default:clients' } },
    },
  },
  {
    command: 'policy rule-ls web',
    sends: [
      ['GET', '/api/v1/tenants/default/'],
      ['GET', '/api/v1/policys/default:web/'],
      ['GET', '/api/v1/rules/'],
    ],
    prints: [
      { ruleId: '1', tenantName: 'default', policyName: 'web' },
      { ruleId: '2', priority: 10 },
    ],
  },
  {
    command: 'group ls',
    sends: [
      ['GET', '/api/v1/tenants/default/'],
      ['GET', '/api/v1/endpointGroups/'],
    ],
    prints: [{ groupName: 'clients' }, { groupName: 'servers' }],
  },
  {
    command: 'group inspect clients',
    sends: [['GET', '/api/v1/inspect/endpointGroups/default:clients/']],
    prints: {
      Config: {
        groupName: 'clients',
        'link-sets': { MatchRules: { 'default:web:2': { type: 'rule', key: 'default:web:2' } } },
      },
      Oper: {
        externalPktTag: 4096,
        groupTag: 'clients.default',
        availableIPAddresses: '10.1.1.1-10.1.1.253',
      },
    },
  },
  {
    command: 'net inspect net1',
    sends: [['GET', '/api/v1/inspect/networks/default:net1/']],
    prints: {
      Config: { 'link-sets': { EndpointGroups: { 'default:clients': {}, 'default:servers': {} } } },
      Oper: { externalPktTag: 4096, pktTag: 4096, networkTag: 'net1.default' },
    },
  },
  {
    command: 'tenant inspect default',
    sends: [['GET', '/api/v1/inspect/tenants/default/']],
    prints: {
      Config: {
        tenantName: 'default',
        'link-sets': {
          Networks: { 'default:net1': {}, 'default:vlan1': {} },
          NetProfiles: { 'default:gold': {} },
        },
      },
      Oper: { totalNetworks: 2, totalEPGs: 2, totalPolicies: 1, totalNetprofiles: 1 },
    },
  },
  {
    command: 'policy inspect web',
    sends: [['GET', '/api/v1/inspect/policys/default:web/']],
    prints: {
      Config: {
        policyName: 'web',
        'link-sets': {
          EndpointGroups: { 'default:servers': {} },
          Rules: { 'default:web:1': {}, 'default:web:2': {} },
        },
      },
      Oper: {},
    },
  },
  {
    command: 'netprofile inspect gold',
    sends: [['GET', '/api/v1/inspect/netprofiles/default:gold/']],
    prints: { Config: { profileName: 'gold', 'link-sets': { EndpointGroups: { 'default:servers': {} } } } },
  },
  {
    command: 'global inspect',
    sends: [['GET', '/api/v1/inspect/globals/global/']],
    prints: { Config: { name: 'global' }, Oper: { numNetworks: 2, vlansInUse: '11', vxlansInUse: '4096' } },
  },
  {
    command: 'policy rule-rm web 1',
    sends: [['DELETE', '/api/v1/rules/default:web:1/']],
    prints: 'default:web:1',
  },
  {
    command: 'group create net1 servers, which ends policy and profile',
    sends: [
      [
        'POST',
        '/api/v1/endpointGroups/default:servers/',
        {
          groupName: 'servers',
          networkName: 'net1',
          tenantName: 'default',
          'link-sets': {},
          links: groupLinks,
        },
      ],
    ],
    prints: { key: 'default:servers', 'link-sets': {} },
  },
  { command: 'policy rm web', sends: [['DELETE', '/api/v1/policys/default:web/']], prints: 'default:web' },
  {
    command: 'group rm clients',
    sends: [['DELETE', '/api/v1/endpointGroups/default:clients/']],
    prints: 'default:clients',
  },
  {
    command: 'netprofile rm gold',
    sends: [['DELETE', '/api/v1/netprofiles/default:gold/']],
    prints: 'default:gold',
  },
  {
    command: 'tenant create blue',
    sends: [['POST', '/api/v1/tenants/blue/', { tenantName: 'blue', 'link-sets': {} }]],
    prints: { key: 'blue', tenantName: 'blue', 'link-sets': {} },
  },
  { command: 'tenant rm blue', sends: [['DELETE', '/api/v1/tenants/blue/']], prints: 'blue' },
  { command: 'service ls', sends: [['GET', '/api/v1/serviceLBs/']], prints: [] },
  { command: 'bgp ls', sends: [['GET', '/api/v1/Bgps/']], prints: [] },
  { command: 'aci-gw info', sends: [['GET', '/api/v1/aciGws/']], prints: [] },
  { command: 'app-profile ls', sends: [['GET', '/api/v1/appProfiles/']], prints: [] },
  { command: 'external-contracts ls', sends: [['GET', '/api/v1/extContractsGroups/']], prints: [] },
  {
    command: 'version',
    sends: [['GET', '/version']],
    prints: { Version: 'weft 1.2.3', GitCommit: '', BuildTime: '' },
  },
];

t.test('a session of netctl', async (t) => {
  const { client, model } = await open(t);
  for (const { command, sends, prints } of SESSION) {
    let seen: Seen = { error: 'nothing was sent' };
    for (const [method, url, body] of sends) {
      seen = await client(method, url, body);
      if ('error' in seen) break;
    }
    t.match(seen, { value: prints }, `netctl ${command}`);
    if (Array.isArray(prints)) t.equal((seen as { value: unknown[] }).value.length, prints.length, command);
  }
  t.match(
    model.list('Network').map(({ spec }) => spec),
    [{ kind: 'Network', tenant: 'default', name: 'net1' }, { name: 'vlan1' }],
    'what it made are intents',
  );
});

t.test("Weft's objects as contiv's", async (t) => {
  const { client, apply, model } = await open(t);
  await apply(`[
    {kind: Tenant, name: acme, vnis: 100-200},
    {kind: QosProfile, tenant: acme, name: fast, out: {rate: 1.5G}, in: {rate: 1 Mbps}, dscp: AF41, queue: 3},
    {kind: QosProfile, tenant: acme, name: slow, in: {rate: 1 Mbps}},
    {kind: Network, tenant: acme, name: web, subnet: 10.1.1.0/29, gateway: 10.1.1.6, qos: slow, multicast: {querier: false}},
    {kind: Policy, tenant: acme, name: p, defaultIn: deny, rules: [
      {name: many, from: [{group: g}, {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}], protocol: tcp, ports: [80, '8000-8010'], action: reject},
      {name: ping, direction: out, to: [{cidr: 192.0.2.1}], protocol: icmp, icmpType: 8},
      {name: igmp, from: [{network: web}], protocol: 2}]},
    {kind: Group, tenant: acme, name: g, selector: {matchLabels: {app: shop}}, policies: [p], qos: fast},
    {kind: Endpoint, tenant: acme, network: web, name: a, attachUUID: 6f1c2a7e, labels: {app: shop, role: web}},
    {kind: Endpoint, tenant: acme, network: web, name: b, ip: 10.1.1.4}]`);
  const value = async (url: string) => ((await client('GET', url)) as { value: unknown }).value;

  t.match(await value('/api/v1/netprofiles/'), [
    { profileName: 'fast', bandwidth: '1500 mbps', DSCP: 34 },
    { profileName: 'slow', bandwidth: undefined },
  ]);
  t.match(await value('/api/v1/rules/'), [
    { ruleId: 'igmp', protocol: 'igmp', fromNetwork: 'web' },
    {
      ruleId: 'many',
      fromIpAddress: 'group g, 10.0.0.0/8 except 10.1.0.0/16',
      protocol: 'tcp 80,8000-8010',
      action: 'reject',
      port: undefined,
    },
    { ruleId: 'ping', direction: 'out', toIpAddress: '192.0.2.1', protocol: 'icmp type 8' },
  ]);
  t.match(await value('/api/v1/inspect/networks/acme:web/'), {
    Config: { pktTag: 100, gateway: '10.1.1.6' },
    Oper: {
      allocatedAddressesCount: 2,
      allocatedIPAddresses: '10.1.1.1, 10.1.1.4',
      availableIPAddresses: '10.1.1.2-10.1.1.3, 10.1.1.5',
      numEndpoints: 2,
      endpoints: [
        { containerName: 'a', network: 'web.acme', endpointGroupKey: 'g:acme' },
        { containerName: 'b' },
      ],
    },
  });
  t.match(await value('/api/v1/inspect/endpoints/6f1c/'), {
    Oper: {
      containerID: '6f1c2a7e',
      containerName: 'a',
      endpointID: 'acme:web:a',
      ipAddress: ['10.1.1.1'],
      macAddress: '02:02:0a:01:01:01',
      labels: 'map[app:shop role:web]',
    },
  });
  t.match(await value('/api/v1/inspect/policys/acme:p/'), { Oper: { numEndpoints: 1 } });

  t.match(await client('GET', '/api/v1/inspect/endpoints/none/'), { error: 'endpoint none not found' });
  t.match(
    await client('POST', '/api/v1/rules/acme:p:many/', {
      tenantName: 'acme',
      policyName: 'p',
      ruleId: 'many',
    }),
    { error: /says more than contiv's members can/ },
  );
  t.match(
    await client('POST', '/api/v1/rules/acme:p:both/', {
      tenantName: 'acme',
      policyName: 'p',
      ruleId: 'both',
      fromEndpointGroup: 'g',
      fromIpAddress: '10.0.0.1',
    }),
    { error: /fromEndpointGroup.*cannot be together/ },
    'contiv means both, Weft would mean any',
  );
  await client('POST', '/api/v1/networks/acme:web/', {
    tenantName: 'acme',
    networkName: 'web',
    encap: 'vxlan',
  });
  await client('PUT', '/api/v1/netprofiles/acme:fast/', {
    tenantName: 'acme',
    profileName: 'fast',
    bandwidth: '5 mbps',
  });
  t.match(
    model.get('Network', 'acme/web')?.spec,
    { qos: 'slow', gateway: '10.1.1.6', multicast: { querier: false } },
    'what contiv cannot say stays as it is',
  );
  t.same(model.get('QosProfile', 'acme/fast')?.spec, {
    kind: 'QosProfile',
    tenant: 'acme',
    name: 'fast',
    in: { rate: '1 Mbps' },
    queue: 3,
    out: { rate: '5 mbps' },
  });
  t.match(await client('DELETE', '/api/v1/networks/acme:web/'), {
    error: /is used by endpoints acme\/web\/a/,
  });
});

t.test('what is refused, and how netctl shows it', async (t) => {
  const { client, api, model } = await open(t);
  const net = (members: Json) =>
    client('POST', '/api/v1/networks/default:n/', { tenantName: 'default', networkName: 'n', ...members });
  const refused: readonly (readonly [string, Promise<Seen>, RegExp])[] = [
    ['infra', net({ nwType: 'infra' }), /nwType "infra" has no counterpart/],
    ['tag', net({ cfgdTag: 'x' }), /cfgdTag "x" has no counterpart/],
    ['range', net({ subnet: '10.1.1.1-10.1.1.9/24' }), /has a range, which has no counterpart/],
    ['subnet', net({ subnet: '10.1.1/24' }), /subnet.*10\.1\.1\/24/],
    ['type', net({ pktTag: 'eleven' }), /body\.pktTag must be integer/],
    ['encap', net({ encap: 'gre' }), /encapsulation/],
    ['other name', net({ networkName: 'm' }), /networkName is "m" in the body; name the same object/],
    [
      'tenant',
      client('POST', '/api/v1/networks/x:n/', { tenantName: 'x', networkName: 'n' }),
      /there is no tenant x/,
    ],
    ['key', client('GET', '/api/v1/networks/n/'), /network: "n" is no key; keys are tenantName:networkName/],
    ['missing', client('GET', '/api/v1/networks/default:n/'), /^network default:n not found$/],
    ['gone', client('DELETE', '/api/v1/networks/default:n/'), /^network default:n not found$/],
    [
      'default network',
      client('POST', '/api/v1/tenants/t/', { tenantName: 't', defaultNetwork: 'n' }),
      /defaultNetwork/,
    ],
    [
      'no network',
      client('POST', '/api/v1/endpointGroups/default:g/', { tenantName: 'default', groupName: 'g' }),
      /names no network; give networkName/,
    ],
    [
      'pool',
      client('POST', '/api/v1/endpointGroups/default:g/', {
        tenantName: 'default',
        groupName: 'g',
        networkName: 'n',
        ipPool: '10.1.1.1-10.1.1.9',
      }),
      /ipPool "10.1.1.1-10.1.1.9" has no counterpart/,
    ],
    [
      'burst',
      client('POST', '/api/v1/netprofiles/default:p/', { tenantName: 'default', profileName: 'p', burst: 5 }),
      /give a bandwidth/,
    ],
    [
      'routing',
      client('POST', '/api/v1/globals/global/', { name: 'global', fwdMode: 'routing' }),
      /networks are bridged/,
    ],
    [
      'ranges',
      client('POST', '/api/v1/globals/global/', { name: 'global', vlans: '1-9' }),
      /every tenant has its own/,
    ],
    ['global', client('DELETE', '/api/v1/globals/global/'), /cannot be deleted/],
    [
      'service',
      client('POST', '/api/v1/serviceLBs/default:s/', { tenantName: 'default', serviceName: 's' }),
      /there are no services/,
    ],
    ['bgp', client('POST', '/api/v1/Bgps/h1/', { hostname: 'h1', as: '65000' }), /no routing mode/],
    ['aci', client('POST', '/api/v1/aciGws/aciGw/', { name: 'aciGw' }), /ACI/],
    [
      'profile',
      client('POST', '/api/v1/appProfiles/default:a/', { tenantName: 'default', appProfileName: 'a' }),
      /ACI/,
    ],
    [
      'contracts',
      client('POST', '/api/v1/extContractsGroups/default:e/', {
        tenantName: 'default',
        contractsGroupName: 'e',
      }),
      /ACI/,
    ],
  ];
  for (const [what, seen, reason] of refused) t.match(await seen, { error: reason }, what);
  t.same([...model.list('Tenant'), ...model.list('Network')], [], 'nothing of it has been done');

  const send = (headers: Record<string, string>, payload: string) =>
    api.inject({ method: 'POST', url: '/api/v1/tenants/t/', headers, payload });
  const body = '{"tenantName":"t"}';
  t.equal((await send({ origin: 'http://evil.example' }, body)).statusCode, 415, 'a page of another site');
  t.equal((await send({ 'content-type': 'text/plain' }, body)).statusCode, 415);
  const broken = await send({}, '{');
  t.match(
    [broken.statusCode, broken.statusMessage, broken.payload],
    [500, 'the request body is not JSON', 'the request body is not JSON\n'],
  );
  t.equal((await send({}, '[]')).statusCode, 500);
  t.equal((await send({ 'content-type': 'application/json' }, body)).statusCode, 200);
});

t.test("objects of contiv are the same after they have been Weft's", async (t) => {
  const { client } = await open(t);
  const inTenant = { tenantName: 'default' };
  await client('POST', '/api/v1/networks/default:n/', {
    ...inTenant,
    networkName: 'n',
    subnet: '10.9.0.0/16',
  });
  await client('POST', '/api/v1/endpointGroups/default:g/', {
    ...inTenant,
    groupName: 'g',
    networkName: 'n',
  });
  await client('POST', '/api/v1/policys/default:p/', { ...inTenant, policyName: 'p' });

  const name = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,10}[a-z0-9])?$/);
  const sometimes = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });
  const rules = fc
    .record({
      id: name,
      direction: fc.constantFrom('in', 'out'),
      peer: fc.constantFrom(
        ['EndpointGroup', 'g'],
        ['Network', 'n'],
        ['IpAddress', '10.1.1.1'],
        ['IpAddress', '10.1.0.0/16'],
        undefined,
      ),
      priority: fc.integer({ min: 1, max: 100 }),
      action: fc.constantFrom('allow', 'deny'),
      service: fc.oneof(
        fc.constant({}),
        fc.record({ protocol: fc.constantFrom('icmp', 'igmp', '47', '112') }),
        fc
          .record({
            protocol: fc.constantFrom('tcp', 'udp'),
            port: sometimes(fc.integer({ min: 1, max: 65_535 })),
          })
          .map(({ protocol, port }) => ({ protocol, ...(port === undefined ? {} : { port }) })),
      ),
    })
    .map(({ id, direction, peer, service, ...rest }) => ({
      url: `/api/v1/rules/default:p:${id}/`,
      body: {
        ...inTenant,
        policyName: 'p',
        ruleId: id,
        direction,
        ...rest,
        ...service,
        ...(peer === undefined ? {} : { [`${direction === 'in' ? 'from' : 'to'}${peer[0]}`]: peer[1] }),
      },
    }));
  const profiles = fc
    .record({
      id: name,
      amount: fc.integer({ min: 1, max: 999 }),
      space: fc.constantFrom('', ' '),
      unit: fc.constantFrom('kbps', 'mbps', 'gbps', 'Kbps', 'k', 'm', 'g', 'M', 'kb', 'Mb'),
      burst: sometimes(fc.integer({ min: 2, max: 10_486 })),
      DSCP: sometimes(fc.integer({ min: 1, max: 63 })),
    })
    .map(({ id, amount, space, unit, burst, DSCP }) => ({
      url: `/api/v1/netprofiles/default:${id}/`,
      body: {
        ...inTenant,
        profileName: id,
        bandwidth: `${amount}${space}${unit}`,
        ...(burst === undefined ? {} : { burst }),
        ...(DSCP === undefined ? {} : { DSCP }),
      },
    }));
  const groups = fc.record({ id: name, policies: fc.subarray(['p']) }).map(({ id, policies }) => ({
    url: `/api/v1/endpointGroups/default:x-${id}/`,
    body: {
      ...inTenant,
      groupName: `x-${id}`,
      networkName: 'n',
      ...(policies.length === 0 ? {} : { policies }),
    },
  }));
  const networks = fc
    .record({
      id: fc.integer({ min: 0, max: 200 }),
      encap: fc.constantFrom('vlan', 'vxlan'),
      gateway: fc.boolean(),
      six: fc.boolean(),
    })
    .map(({ id, encap, gateway, six }) => ({
      url: `/api/v1/networks/default:${encap}-${id}/`,
      body: {
        ...inTenant,
        networkName: `${encap}-${id}`,
        nwType: 'data',
        encap,
        pktTag: 100 + id,
        subnet: `10.${encap === 'vlan' ? 1 : 2}.${id}.0/24`,
        ...(gateway ? { gateway: `10.${encap === 'vlan' ? 1 : 2}.${id}.254` } : {}),
        ...(six ? { ipv6Subnet: `fd00:${encap === 'vlan' ? 1 : 2}:${id + 1}::/64` } : {}),
      },
    }));
  await fc.assert(
    fc.asyncProperty(fc.oneof(rules, profiles, groups, networks), async ({ url, body }) => {
      const posted = await client('POST', url, { ...body, 'link-sets': {}, links: {} });
      const got = await client('GET', url);
      t.same(posted, got, 'POST answers what GET does');
      const { key: _, 'link-sets': __, links: ___, ...members } = (got as { value: Json }).value;
      t.same(members, body, url);
      const again = await client('PUT', url, (got as { value: Json }).value);
      t.same(again, got, 'what was got can be put');
      t.match(await client('DELETE', url), { value: url.split('/').at(-2) });
      return JSON.stringify(members) !== '{}';
    }),
    { numRuns: 100 },
  );
});
