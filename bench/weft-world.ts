/**
 * The world of policy-world.ts in Weft, on the real way: intents over the HTTP API, the registration of an agent for each host, a
 * real Open vSwitch for the measured host and emulated switches for all others.
 */
import type { IntentObject, RuleIntent } from '../controller/model/intents.js';
import { AgentRegister, connect, Peer, Router, TUNNEL_INTERFACE, TUNNEL_PORT } from '../rpc/index.js';
import type { OpenVSwitch } from '../test/support/open-vswitch.js';
import { startFleet } from './fleet.js';
import type { World, WorldRule } from './policy-world.js';
import type { WeftProcess } from './weft-process.js';

export const TENANT = 'acme';
const BRIDGE = 'br-int';

export const datapathId = (host: number): string => host.toString(16).padStart(16, '0');
const policyName = (group: string): string => `for-${group}`;

/** Everything but policies: tenant, networks, groups and endpoints. */
export function intentsOf(world: World): IntentObject[] {
  return [
    { kind: 'Tenant', name: TENANT },
    ...world.networks.map(({ name, subnet }): IntentObject => {
      return { kind: 'Network', tenant: TENANT, name, encapsulation: 'vxlan', subnet };
    }),
    ...[...world.groups.keys()].map((name): IntentObject => ({ kind: 'Group', tenant: TENANT, name })),
    ...world.endpoints.map(({ name, network, ip, mac, groups }): IntentObject => {
      return { kind: 'Endpoint', tenant: TENANT, network, name, ip, mac, groups: [...groups] };
    }),
  ];
}

const members = ({ peer, port }: WorldRule) => ({ from: [{ group: peer }], protocol: 'tcp', ports: [port] });

/** One rule by itself. */
export const ruleIntent = (rule: WorldRule): RuleIntent => ({
  kind: 'Rule',
  tenant: TENANT,
  policy: policyName(rule.subject),
  name: rule.name,
  ...members(rule),
});

export const ruleReference = ({ subject, name }: WorldRule) =>
  ({ kind: 'Rule', name: `${TENANT}/${policyName(subject)}/${name}` }) as const;

/** The policies of the rules, whole, and the groups that are subject to them. */
export function policyIntents(rules: readonly WorldRule[]): IntentObject[] {
  const bySubject = new Map<string, WorldRule[]>();
  for (const rule of rules) bySubject.set(rule.subject, [...(bySubject.get(rule.subject) ?? []), rule]);
  return [...bySubject].flatMap(([subject, own]): IntentObject[] => {
    const name = policyName(subject);
    const named = own.map((rule) => ({ name: rule.name, ...members(rule) }));
    return [
      { kind: 'Policy', tenant: TENANT, name, defaultIn: 'deny', rules: named },
      { kind: 'Group', tenant: TENANT, name: subject, policies: [name] },
    ];
  });
}

/** Brings hosts, switches and endpoints up, and resolves when all switches are in sync. Returns the way to end them. */
export async function bringUp(
  weft: WeftProcess,
  ovs: OpenVSwitch,
  world: World,
): Promise<() => Promise<void>> {
  await weft.apply(intentsOf(world), 'stored');
  await ovs.addBridge(BRIDGE, datapathId(1));
  const commands = [
    ...world.local.map(({ port, portNumber }) => [port, portNumber] as const),
    [TUNNEL_INTERFACE, TUNNEL_PORT] as const,
  ].flatMap(([port, number]) => [
    ['add-port', BRIDGE, port],
    ['set', 'interface', port, 'type=dummy', `ofport_request=${number}`],
  ]);
  await ovs.vsctl(...commands.flatMap((command) => ['--', ...command]));
  const { hosts } = world.shape;
  const peers: Peer[] = [];
  for (let host = 1; host <= hosts; host++) {
    const peer = new Peer(await connect(weft.hub), { router: new Router() });
    peers.push(peer);
    await peer.call(AgentRegister, {
      protocol: 1,
      hostLabel: `h${host}`,
      epoch: 1,
      datapathId: datapathId(host),
      bridge: BRIDGE,
      vtepIp: `192.168.${host >> 8}.${host & 0xff}`,
      tunnelPort: TUNNEL_INTERFACE,
      attachments: world.on(host).map(({ name, network, port }) => ({
        endpoint: `${TENANT}/${network}/${name}`,
        interface: port,
        generation: 0,
      })),
    });
  }
  await ovs.setController(BRIDGE, weft.openflow.port);
  const fleet = startFleet({
    controller: `127.0.0.1:${weft.openflow.port}`,
    count: hosts - 1,
    first: 2,
    ports: Math.max(...world.endpoints.map(({ portNumber }) => portNumber)),
  });
  await weft.inSync(hosts);
  return async () => {
    for (const peer of peers) peer.close('the bench has ended');
    await fleet.end();
  };
}

/** Flow entries of the measured bridge. */
export async function entriesOf(ovs: OpenVSwitch): Promise<number> {
  const dump = await ovs.ofctl(['--no-stats', '--no-names', 'dump-flows'], BRIDGE);
  return dump.split('\n').filter((line) => line.includes('actions=')).length;
}
