// Why packets are dropped: every entry and meter of the apps that drops is told of in words, from the counters of a switch that holds
// what it is to hold. The switch is played by the desired table itself.
import t from 'tap';
import { apps, pipeline } from '../../apps/index.js';
import { Numbering, type SwitchSession } from '../../controller/channel/index.js';
import { DatapathController } from '../../controller/datapath/index.js';
import type { FactChange } from '../../controller/model/facts.js';
import { DropReader } from '../../controller/punt/drops.js';
import { Names } from '../../controller/punt/names.js';
import type { FlowStats, MeterStats, MultipartRequest } from '../../ofproto/index.js';
import { datapathId, setEndpoint, setHost, setNetwork } from '../apps/facts.js';

const KINDS = {
  tenants: 'tenant',
  networks: 'network',
  endpoints: 'endpoint',
  hosts: 'host',
  policies: 'policy',
  rules: 'rule',
} as const;

function rig() {
  const datapaths = new DatapathController({ pipeline, apps, numbering: new Numbering() });
  t.teardown(() => datapaths.close());
  const { facts } = datapaths;
  setNetwork(facts, 'acme/web', 1, 'vxlan');
  setNetwork(facts, 'acme/lan', 2, 'vlan', { qos: 'acme/slow' });
  facts.tenants.set('acme', { name: 'acme', number: 1 });
  facts.qosProfiles.set('acme/slow', {
    id: 'acme/slow',
    tenant: 'acme',
    name: 'slow',
    number: 1,
    out: { kilobitsPerSecond: 1000, burstKilobits: 100 },
    in: { kilobitsPerSecond: 1000, burstKilobits: 100 },
    sharing: 'endpoint',
    trust: false,
  });
  for (const host of [1, 2]) {
    setHost(facts, host);
    setEndpoint(facts, 'acme/web', 10 + host, { host, port: 1 });
    setEndpoint(facts, 'acme/lan', 20 + host, { host, port: 2 });
  }
  facts.policies.set('acme/p', {
    id: 'acme/p',
    tenant: 'acme',
    name: 'p',
    number: 5,
    tier: 10,
    defaultIn: 'deny',
  });
  facts.groups.set('acme/all', {
    id: 'acme/all',
    tenant: 'acme',
    name: 'all',
    number: 1,
    endpoints: [],
    networks: ['acme/web'],
    policies: ['acme/p'],
  });
  for (const [position, action] of (['deny', 'reject', 'allow'] as const).entries()) {
    facts.rules.set(`acme/p/${action}`, {
      id: `acme/p/${action}`,
      policy: 'acme/p',
      name: action,
      number: position + 1,
      direction: 'in',
      priority: 1,
      position,
      action,
      log: true,
      stateless: action === 'allow',
      peers: [],
      services: [{ protocol: 6, ports: [{ first: position, last: position }] }],
    });
  }
  datapaths.settle();
  const names = new Names();
  for (const [input, kind] of Object.entries(KINDS) as [keyof typeof KINDS, FactChange['kind']][]) {
    names.apply([...facts[input].entries()].map(([key, value]) => ({ kind, key, value }) as FactChange));
  }
  return { datapaths, names, reader: new DropReader(datapaths, pipeline, names) };
}

/** Holds the desired table; every entry has dropped one packet of 100 bytes, every meter two. */
function playedSwitch(datapaths: DatapathController) {
  const id = datapathId(1);
  let asked = 0;
  const flows = (body: { tableId: number; cookie: bigint; cookieMask: bigint }): FlowStats[] =>
    [...datapaths.desired(id)].flatMap((entry) => {
      if (entry.kind !== 'flow' || entry.table !== body.tableId) return [];
      if ((entry.cookie & body.cookieMask) !== body.cookie) return [];
      asked++;
      return [{ ...entry, tableId: entry.table, packetCount: 1n, byteCount: 100n } as unknown as FlowStats];
    });
  const meters = (): MeterStats[] =>
    [...datapaths.desired(id)].flatMap((entry) =>
      entry.kind === 'meter'
        ? [
            {
              meterId: entry.id,
              bands: [{ packetBandCount: 2n, byteBandCount: 200n }],
            } as unknown as MeterStats,
          ]
        : [],
    );
  const session = {
    datapathId: id,
    xid: () => 1,
    multipart: async (request: MultipartRequest) => ({
      body: request.multipartType === 'flow' ? flows(request.body) : meters(),
    }),
  } as unknown as SwitchSession;
  return { session, asked: () => asked };
}

t.test('every drop has a cause in words', async (t) => {
  const { datapaths, reader } = rig();
  const { session, asked } = playedSwitch(datapaths);
  const drops = await reader.read(session);
  t.same(
    drops.filter(({ text }) => /^by |^number/.test(text)).map(({ cause }) => cause),
    [],
    'no app drops what controller/punt/causes.ts does not explain',
  );
  const told = (cause: string) => drops.filter((drop) => drop.cause === cause);
  t.match(told('spoofed.ipv4-source'), [
    { table: 'source_address', packets: 1, bytes: 100, countedAgain: true, host: 'h1' },
  ]);
  const senders = told('spoofed.sender').map(({ endpoint, network, tenant }) => [endpoint, network, tenant]);
  t.strictSame(
    new Set(senders.map((sender) => sender.join())),
    new Set(['acme/web/e11,acme/web,acme', 'acme/lan/e21,acme/lan,acme']),
    'forged packets by sender',
  );
  t.notOk(told('spoofed.sender')[0]?.countedAgain);
  t.match(told('forward.unknown-destination'), [{ network: 'acme/web' }, { network: 'acme/lan' }]);
  t.match(told('resolution.unknown-address').length, 2, 'ARP and neighbour discovery of the VXLAN network');
  t.match(told('miss.unknown-port'), [{ table: 'classify' }]);
  t.strictSame(
    new Set(told('policy.rule').map(({ rule, policy, text }) => `${rule} of ${policy}: ${text}`)),
    new Set(['acme/p/deny of acme/p: denied by the rule', 'acme/p/reject of acme/p: rejected by the rule']),
  );
  t.match(told('policy.stateless'), [{ rule: 'acme/p/allow' }]);
  t.match(told('policy.default'), [{ policy: 'acme/p', table: 'ingress_policy', tenant: 'acme' }]);
  t.match(told('rate.sending'), [{ endpoint: 'acme/lan/e21', packets: 2, table: 'qos_out' }]);
  t.match(told('rate.receiving'), [{ endpoint: 'acme/lan/e21', table: 'qos_in' }]);
  t.equal(told('rate.flooding').length, 2);
  t.same(
    drops.filter(({ table }) => table === 'tunnel_output').map(({ cause }) => cause),
    ['miss.no-tunnel-address'],
    'a copy of a flooded frame that a host would send to itself is no loss',
  );
  const all = [...datapaths.desired(datapathId(1))].length;
  t.ok(asked() < all, `${asked()} of ${all} entries were asked for`);
});
