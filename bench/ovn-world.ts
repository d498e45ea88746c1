/**
 * The world of policy-world.ts in OVN: networks are logical switches, groups are port groups (with the address sets that ovn-northd
 * makes of them), rules are ACLs of the subject's port group, and what no rule allows to a member of a group with rules is dropped.
 */
import type { OvsdbClient } from '../agent/ovsdb/index.js';
import { insert, namedUuid, type Operation, update } from '../agent/ovsdb/index.js';
import { until } from '../topologies/lab/process.js';
import { OpenVSwitch } from '../test/support/open-vswitch.js';
import { findOvn } from './ovn-packages.js';
import { CHASSIS_NAME, NB, Ovn, SB } from './ovn.js';
import type { World, WorldEndpoint, WorldRule } from './policy-world.js';

const BRIDGE = 'br-int';
const ALLOW_PRIORITY = 1_001;
const DROP_PRIORITY = 1_000;
const TIMEOUT_MS = 120_000;

const matchOfRule = ({ subject, peer, port }: WorldRule): string =>
  `outport == @${subject} && ip4.src == $${peer}_ip4 && tcp.dst == ${port}`;

/** Arguments of `ovn-nbctl` that add or take away a rule. */
export const aclArguments = (command: 'acl-add' | 'acl-del', rule: WorldRule): readonly string[] => [
  command,
  rule.subject,
  'to-lport',
  `${ALLOW_PRIORITY}`,
  matchOfRule(rule),
  ...(command === 'acl-add' ? ['allow-related'] : []),
];

/** Everything but rules, in one transaction. */
export async function populate(nb: OvsdbClient, world: World): Promise<void> {
  const refs = (endpoints: readonly WorldEndpoint[]) => endpoints.map(({ name }) => namedUuid(name));
  const ports = world.endpoints.map(({ name, mac, ip }) =>
    insert(NB.port, { name, addresses: [`${mac} ${ip}`] }, name),
  );
  const switches = world.networks.map(({ name }) => {
    const own = world.endpoints.filter(({ network }) => network === name);
    return insert(NB.switch, { name, ports: refs(own) });
  });
  const groups = [...world.groups].map(([name, members]) =>
    insert(NB.portGroup, { name, ports: refs(members) }),
  );
  await nb.transact([...ports, ...switches, ...groups]);
}

/** Operations that add rules to their groups, and to new subjects what happens where no rule decides. */
function additions(rules: readonly WorldRule[], newSubjects: readonly string[]): Operation[] {
  const operations: Operation[] = [];
  const acls = new Map<string, string[]>();
  const add = (subject: string, acl: { priority: number; match: string; action: string }): void => {
    const name = `acl_${operations.length}`;
    operations.push(insert(NB.acl, { direction: 'to-lport', ...acl }, name));
    acls.set(subject, [...(acls.get(subject) ?? []), namedUuid(name)]);
  };
  for (const subject of newSubjects) {
    add(subject, { priority: DROP_PRIORITY, match: `outport == @${subject} && ip`, action: 'drop' });
  }
  for (const rule of rules) {
    add(rule.subject, { priority: ALLOW_PRIORITY, match: matchOfRule(rule), action: 'allow-related' });
  }
  const groups = [...acls].map(
    ([group, added]): Operation => ({
      op: 'mutate',
      table: NB.portGroup.name,
      where: [['name', '==', group]],
      mutations: [['acls', 'insert', ['set', added.map((name) => ['named-uuid', name])]]],
    }),
  );
  return [...operations, ...groups];
}

/**
 * A client of the northbound database that stays connected, as OVN's users that are in a hurry have one. It does what
 * `ovn-nbctl --wait=hv` does: counts `nb_cfg` up in the same transaction, and waits for `hv_cfg`, which ovn-northd sets when every
 * ovn-controller says that its flows up to that number are installed, which it says after a barrier.
 */
export class NorthboundClient {
  constructor(readonly nb: OvsdbClient) {}

  /** `newSubjects`: groups that had no rules before. */
  async addRules(rules: readonly WorldRule[], newSubjects: readonly string[] = []): Promise<void> {
    await this.#transact(additions(rules, newSubjects));
  }

  /** Takes away the ACL of a rule that was added before. */
  async removeRule(rule: WorldRule): Promise<void> {
    const [selected] = await this.nb.transact([
      { op: 'select', table: NB.acl.name, where: [['match', '==', matchOfRule(rule)]], columns: ['_uuid'] },
    ]);
    const { rows } = selected as { rows: readonly { _uuid: unknown }[] };
    await this.#transact([
      {
        op: 'mutate',
        table: NB.portGroup.name,
        where: [['name', '==', rule.subject]],
        mutations: [['acls', 'delete', ['set', rows.map(({ _uuid }) => _uuid)]]],
      },
    ]);
  }

  /** Resolves when all that was written before is installed. */
  async sync(): Promise<void> {
    await this.#transact([]);
  }

  /** Resolves when ovn-northd has computed the southbound database out of all that was written before. */
  async computed(): Promise<void> {
    await this.#transact([], 'sb_cfg');
  }

  async #transact(operations: readonly Operation[], reached: 'sb_cfg' | 'hv_cfg' = 'hv_cfg'): Promise<void> {
    const [global] = this.nb.rows(NB.global);
    if (global === undefined) throw new Error('the northbound database has no NB_Global');
    const [uuid, { nb_cfg: before }] = global;
    await this.nb.transact([...operations, update(NB.global, uuid, { nb_cfg: before + 1 })]);
    const done = () => (this.nb.rows(NB.global).get(uuid)?.[reached] ?? 0) > before || undefined;
    await this.nb.waitFor(reached, done, TIMEOUT_MS);
  }
}

/** Gives the measured chassis its ports, and puts the others on chassis that exist in the database alone. */
async function bindPorts(ovn: Ovn, ovs: OpenVSwitch, world: World): Promise<void> {
  const ports = world.local.map(({ name, port, portNumber }) => [
    ['add-port', BRIDGE, port],
    ['set', 'interface', port, 'type=dummy', `ofport_request=${portNumber}`, `external_ids:iface-id=${name}`],
  ]);
  await ovs.vsctl(...ports.flat().flatMap((command) => ['--', ...command]));
  const sb = await ovn.client('sb', [SB.binding, SB.chassis]);
  await until(
    'ports in the southbound database',
    () => sb.rows(SB.binding).size === world.endpoints.length,
    TIMEOUT_MS,
  );
  const hosts = Array.from({ length: world.shape.hosts - 1 }, (_, index) => index + 2);
  await sb.transact(
    hosts.flatMap((host) => {
      const name = `h${host}`;
      const ip = `192.168.${host >> 8}.${host & 0xff}`;
      return [
        insert(SB.encap, { type: 'geneve', ip, chassis_name: name }, `encap_${name}`),
        insert(SB.chassis, { name, hostname: name, encaps: [namedUuid(`encap_${name}`)] }),
      ];
    }),
  );
  const chassis = await until('chassis in the southbound database', () => {
    const rows = new Map([...sb.rows(SB.chassis)].map(([uuid, { name }]) => [name, uuid]));
    return hosts.every((host) => rows.has(`h${host}`)) && rows;
  });
  const bindings = new Map([...sb.rows(SB.binding)].map(([uuid, row]) => [row.logical_port, uuid]));
  const remote = world.endpoints.filter(({ host }) => host !== 1);
  await sb.transact(
    remote.map(({ name, host }) =>
      update(SB.binding, bindings.get(name) ?? '', { chassis: [chassis.get(`h${host}`) ?? ''] }),
    ),
  );
  await until(
    'ports bound to the measured chassis',
    () => {
      const [own] = [...sb.rows(SB.chassis)].find(([, { name }]) => name === CHASSIS_NAME) ?? [];
      const chassisOf = ({ name }: WorldEndpoint) =>
        sb.rows(SB.binding).get(bindings.get(name) ?? '')?.chassis[0];
      return own !== undefined && world.local.every((endpoint) => chassisOf(endpoint) === own);
    },
    TIMEOUT_MS,
  );
  sb.close();
}

/** OVN with the world in it, the measured chassis included; no rules yet. */
export interface OvnWorld {
  readonly ovn: Ovn;
  readonly northbound: NorthboundClient;
  /** Flow entries of the measured chassis. */
  entries(): Promise<number>;
  stop(): Promise<void>;
}

/** Brings it up and waits until everything is installed. */
export async function startOvnWorld(world: World): Promise<OvnWorld> {
  const ovn = await Ovn.start(await findOvn());
  const ovs = await OpenVSwitch.start();
  const stop = async (): Promise<void> => {
    await ovn.stop();
    await ovs.stop();
  };
  try {
    await ovs.addBridge(BRIDGE, '00000000000000aa');
    // ovn-controller speaks OpenFlow 1.5.
    await ovs.vsctl('set', 'bridge', BRIDGE, 'protocols=OpenFlow13,OpenFlow15');
    await ovn.nbctl('init');
    const northbound = new NorthboundClient(await ovn.client('nb', [NB.global]));
    await populate(northbound.nb, world);
    ovn.startNorthd();
    await northbound.computed();
    const vsctl = (...args: string[]) => ovs.vsctl(...args);
    await ovn.startController({ directory: ovs.directory, bridge: BRIDGE, vsctl });
    await bindPorts(ovn, ovs, world);
    await northbound.sync();
    const entries = async (): Promise<number> => {
      const dump = await ovs.ofctl(['--no-stats', '--no-names', 'dump-flows'], BRIDGE);
      return dump.split('\n').filter((line) => line.includes('actions=')).length;
    };
    return { ovn, northbound, entries, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
