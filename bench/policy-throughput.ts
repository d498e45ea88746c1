/**
 * TCP between two namespaces of one host, over Open vSwitch's userspace datapath: through Weft's pipeline, with connections tracked and a
 * policy that allows this one; through OVN's with the same rule; and through one entry, that of a learning switch.
 */
import { AgentRegister, connect, Peer, Router, TUNNEL_INTERFACE, TUNNEL_PORT } from '../rpc/index.js';
import { Lab, type LabEndpoint, type LabHost, until } from '../topologies/lab/index.js';
import { compare, inTurn, type Result } from './harness.js';
import { findOvn } from './ovn-packages.js';
import { NB, Ovn } from './ovn.js';
import { NorthboundClient, populate } from './ovn-world.js';
import { World, type WorldEndpoint } from './policy-world.js';
import { WeftProcess } from './weft-process.js';
import { datapathId, intentsOf, policyIntents, TENANT } from './weft-world.js';

const SECONDS = 2;
const MTU = 1_400;

/** Two endpoints; the first one's group admits one TCP port from the other one's. */
const WORLD = new World({ hosts: 1, networks: 1, endpoints: 2, groups: 2 });
const RULES = WORLD.rules('g0', 0, 1);
const [SERVER, CLIENT] = WORLD.endpoints as [WorldEndpoint, WorldEndpoint];
const ALLOWED = RULES[0]?.port ?? 0;
const FORBIDDEN = ALLOWED + 1;

/** The two endpoints on a bridge. */
interface Pair {
  readonly server: LabEndpoint;
  readonly client: LabEndpoint;
}

const BRIDGES = { weft: 'br-weft', ovn: 'br-ovn', plain: 'br-plain' } as const;

/** A bridge with both endpoints on it. */
async function plug(host: LabHost, kind: keyof typeof BRIDGES): Promise<Pair> {
  const bridge = BRIDGES[kind];
  const settings = ['datapath_type=netdev', 'fail_mode=secure', 'protocols=OpenFlow13,OpenFlow15'];
  const id = `other-config:datapath-id=${datapathId(Object.keys(BRIDGES).indexOf(kind) + 1)}`;
  await host.vsctlAll(['add-br', bridge], ['set', 'bridge', bridge, ...settings, id]);
  const add = ({ name, ip, mac }: WorldEndpoint) =>
    host.addEndpoint({ name: `${kind}-${name}`, bridge, mac, addresses: [`${ip}/16`], mtu: MTU });
  const [server, client] = [await add(SERVER), await add(CLIENT)];
  for (const port of [ALLOWED, FORBIDDEN]) server.spawn(`iperf3-${port}`, ['iperf3', '-s', '-p', `${port}`]);
  return { server, client };
}

async function startWeft(lab: Lab, host: LabHost, { server, client }: Pair): Promise<WeftProcess> {
  const weft = await WeftProcess.start(lab.managementAddress);
  await weft.apply(intentsOf(WORLD), 'stored');
  await weft.apply(policyIntents(RULES), 'stored');
  const peer = new Peer(await connect(weft.hub), { router: new Router() });
  await host.vsctlAll(
    ['add-port', BRIDGES.weft, TUNNEL_INTERFACE],
    ['set', 'interface', TUNNEL_INTERFACE, 'type=vxlan', 'options:remote_ip=flow', 'options:key=flow'],
    ['set', 'interface', TUNNEL_INTERFACE, `ofport_request=${TUNNEL_PORT}`],
    ['set-controller', BRIDGES.weft, `tcp:${lab.managementAddress}:${weft.openflow.port}`],
  );
  const attachment = ({ network, name }: WorldEndpoint, { port }: LabEndpoint) => {
    return { endpoint: `${TENANT}/${network}/${name}`, interface: port, generation: 0 };
  };
  await peer.call(AgentRegister, {
    protocol: 1,
    hostLabel: 'h1',
    epoch: 1,
    datapathId: datapathId(1),
    bridge: BRIDGES.weft,
    tunnelPort: TUNNEL_INTERFACE,
    ...(host.vtepIp === undefined ? {} : { vtepIp: host.vtepIp }),
    attachments: [attachment(SERVER, server), attachment(CLIENT, client)],
  });
  await weft.inSync(1);
  peer.close('the host stays as it is');
  return weft;
}

async function startOvn(host: LabHost, { server, client }: Pair): Promise<Ovn> {
  const ovn = await Ovn.start(await findOvn());
  await ovn.nbctl('init');
  const northbound = new NorthboundClient(await ovn.client('nb', [NB.global]));
  await populate(northbound.nb, WORLD);
  ovn.startNorthd();
  await northbound.computed();
  await ovn.startController({
    directory: host.runDirectory,
    bridge: BRIDGES.ovn,
    vsctl: (...args) => host.vsctl(...args),
    enter: ['nsenter', `--net=${host.path}`, '--'],
  });
  for (const [{ name }, { port }] of [
    [SERVER, server],
    [CLIENT, client],
  ] as const) {
    await host.vsctl('set', 'interface', port, `external_ids:iface-id=${name}`);
    await ovn.nbctl('--timeout=30', 'wait-until', 'Logical_Switch_Port', name, 'up=true');
  }
  await northbound.addRules(RULES, ['g0']);
  return ovn;
}

/** Gigabits per second that the server received. */
async function iperf({ client }: Pair): Promise<number> {
  const argv = ['iperf3', '-J', '-c', SERVER.ip, '-p', `${ALLOWED}`, '-t', `${SECONDS}`];
  const { end, error } = JSON.parse((await client.run(argv)).stdout) as {
    readonly end: { readonly sum_received?: { readonly bits_per_second: number } };
    readonly error?: string;
  };
  const rate = end.sum_received?.bits_per_second;
  if (rate === undefined) throw new Error(`iperf3: ${error}`);
  return rate / 1e9;
}

async function connects({ client }: Pair, port: number): Promise<boolean> {
  const argv = ['iperf3', '-c', SERVER.ip, '-p', `${port}`, '-n', '1', '--connect-timeout', '500'];
  return (await client.run(argv)).exitCode === 0;
}

/** @throws when a policy lets pass what it forbids: then it is not what was measured */
export async function run({ rounds = 3 }: { readonly rounds?: number }): Promise<readonly Result[]> {
  const lab = await Lab.create({ name: 'bench', hosts: 1 });
  let weft: WeftProcess | undefined;
  let ovn: Ovn | undefined;
  try {
    const host = lab.host('h1');
    const pairs = {
      weft: await plug(host, 'weft'),
      ovn: await plug(host, 'ovn'),
      plain: await plug(host, 'plain'),
    };
    await host.ofctl('add-flow', BRIDGES.plain, 'actions=NORMAL');
    weft = await startWeft(lab, host, pairs.weft);
    ovn = await startOvn(host, pairs.ovn);
    for (const [kind, pair] of Object.entries(pairs)) {
      await until(`${kind}: the allowed port answers`, () => connects(pair, ALLOWED), 20_000);
      const open = await connects(pair, FORBIDDEN);
      if (open !== (kind === 'plain'))
        throw new Error(`${kind}: the other port is ${open ? 'open' : 'closed'}`);
    }
    const rates = await inTurn(rounds, {
      weft: () => iperf(pairs.weft),
      ovn: () => iperf(pairs.ovn),
      plain: () => iperf(pairs.plain),
    });
    const name = 'TCP on the userspace datapath, under policy';
    const against = (peer: string, theirs: readonly number[]) =>
      compare(name, 'Gbit/s', rates.weft, peer, theirs, { better: 'higher' });
    return [
      against('one NORMAL entry, no policy', rates.plain),
      against(`OVN ${ovn.programs.version}, the same rule`, rates.ovn),
    ];
  } finally {
    await ovn?.stop();
    await weft?.stop();
    await lab.destroy();
  }
}
