/**
 * What the kernel of a host with Linux bridges holds of Weft's, read through iproute2 and nft, and the commands that make it what a plan
 * says. Everything of Weft's is known by a mark: bridges and tunnels by their alias, forwarding entries and ports by their bridge, tables of
 * nftables by their name.
 */
import { command, runCommand } from '../linux/command.js';
import {
  COLLECTIONS,
  type CollectionName,
  type Named,
  SKELETON,
  SKELETON_CHAIN,
} from './linux-bridge-rules.js';
import type { BridgePlan, KernelPlan } from './linux-bridge-plan.js';

/** What there is; the members are those of {@link KernelPlan}. */
export interface KernelState extends Pick<KernelPlan, 'ports' | 'stations' | 'remotes' | 'floods'> {
  /** Bridges of ours by name. */
  readonly bridges: ReadonlyMap<string, Pick<BridgePlan, 'tunnel'>>;
  readonly collections: ReadonlyMap<CollectionName, ReadonlySet<string>>;
  /** Names of chains and sets that are made of their content. */
  readonly named: ReadonlySet<string>;
  /** Whether the tables of nftables are there, as this version makes them. */
  readonly skeleton: boolean;
  /** All interfaces of the host. */
  readonly interfaces: ReadonlySet<string>;
  /** Interfaces that have a name of ours and not our mark. */
  readonly foreign: ReadonlySet<string>;
}

interface LinkJson {
  readonly ifname: string;
  readonly ifalias?: string;
  readonly master?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: { readonly id?: number; readonly local?: string; readonly local6?: string };
  };
}

interface ForwardingJson {
  readonly mac: string;
  readonly ifname: string;
  readonly flags?: readonly string[];
  readonly master?: string;
  readonly state?: string;
  readonly dst?: string;
}

const VXLAN_PORT = 4789;
const EVERYBODY = '00:00:00:00:00:00';
const OUR_NAME = /^weft-(br|vx)\d+$/;

/** Reads everything; costs as much as there is. */
export async function readKernel(mark: string): Promise<KernelState> {
  const [links, entries, nftables] = await Promise.all([
    command(['ip', '-json', '-details', 'link', 'show']).then((text) => JSON.parse(text) as LinkJson[]),
    command(['bridge', '-json', 'fdb', 'show']).then((text) => JSON.parse(text || '[]') as ForwardingJson[]),
    readNftables(),
  ]);
  const ours = new Map(links.filter(({ ifalias }) => ifalias === mark).map((link) => [link.ifname, link]));
  const bridges = new Map<string, Pick<BridgePlan, 'tunnel'>>();
  for (const { ifname, linkinfo } of ours.values())
    if (linkinfo?.info_kind === 'bridge') bridges.set(ifname, {});
  const ports = new Map<string, string>();
  const tunnels = new Set<string>();
  for (const { ifname, master, linkinfo } of links) {
    if (master === undefined || !bridges.has(master)) continue;
    const { info_kind: kind, info_data: data } = linkinfo ?? {};
    if (kind !== 'vxlan' || !ours.has(ifname)) ports.set(ifname, master);
    else {
      tunnels.add(ifname);
      const local = data?.local ?? data?.local6 ?? '';
      bridges.set(master, { tunnel: { name: ifname, vni: data?.id ?? -1, local } });
    }
  }
  return {
    bridges,
    ports,
    ...forwarding(entries, bridges, tunnels),
    ...nftables,
    interfaces: new Set(links.map(({ ifname }) => ifname)),
    foreign: new Set(
      links.map(({ ifname }) => ifname).filter((name) => OUR_NAME.test(name) && !ours.has(name)),
    ),
  };
}

function forwarding(
  entries: readonly ForwardingJson[],
  bridges: ReadonlyMap<string, unknown>,
  tunnels: ReadonlySet<string>,
): Pick<KernelState, 'stations' | 'remotes' | 'floods'> {
  const stations = new Map<string, string>();
  const remotes = new Map<string, string>();
  const floods = new Set<string>();
  for (const { mac, ifname, flags = [], master, state, dst } of entries) {
    if (flags.includes('self') && dst !== undefined) {
      if (!tunnels.has(ifname)) continue;
      if (mac === EVERYBODY) floods.add(`${ifname} ${dst}`);
      else remotes.set(`${ifname} ${mac}`, dst);
    } else if (master !== undefined && bridges.has(master) && state === 'static') {
      stations.set(`${master} ${mac}`, ifname);
    }
  }
  return { stations, remotes, floods };
}

type Mapping = readonly [Element, { readonly jump: { readonly target: string } } | number];
type Element = string | number | { readonly concat: readonly (string | number)[] } | Mapping;

const isMapping = (element: Exclude<Element, string | number>): element is Mapping => Array.isArray(element);

interface NftObject {
  readonly chain?: { readonly name: string };
  readonly set?: { readonly name: string; readonly elem?: readonly Element[] };
  readonly map?: { readonly name: string; readonly elem?: readonly Element[] };
}

async function readNftables(): Promise<Pick<KernelState, 'collections' | 'named' | 'skeleton'>> {
  const collections = new Map<CollectionName, Set<string>>();
  const named = new Set<string>();
  let skeletons = 0;
  for (const family of ['bridge', 'inet'] as const) {
    const shown = await runCommand(['nft', '-j', 'list', 'table', family, 'weft']);
    if (shown.exitCode !== 0) continue;
    const { nftables } = JSON.parse(shown.stdout) as { readonly nftables: readonly NftObject[] };
    for (const { chain, set, map } of nftables) {
      const { name = '', elem = [] } = chain === undefined ? (set ?? map ?? {}) : { name: chain.name };
      if (name === SKELETON_CHAIN) skeletons += 1;
      else if (/^[a-z]-/.test(name)) named.add(name);
      else if (chain === undefined) {
        const collection = COLLECTIONS.find((one) => one === `${family} ${name}`);
        if (collection !== undefined) collections.set(collection, new Set(elem.map(elementText)));
      }
    }
  }
  return { collections, named, skeleton: skeletons === 2 };
}

function elementText(element: Element): string {
  if (typeof element === 'string' || typeof element === 'number') return `${element}`;
  if (!isMapping(element)) return element.concat.join(' . ');
  const [key, value] = element;
  return `${elementText(key)} : ${typeof value === 'number' ? value : `jump ${value.jump.target}`}`;
}

/** What has to be done, in the order in which it is safe: nobody is connected before what stops him is there. */
export interface KernelCommands {
  /** Ports that stop to be ports, first of all. */
  readonly disconnect: readonly string[];
  readonly nftables: readonly string[];
  readonly links: readonly string[];
  readonly entries: readonly string[];
  readonly connect: readonly string[];
  /** Links and whatever else nothing refers to any more. */
  readonly remove: readonly string[];
}

export function commandsFor(state: KernelState, plan: KernelPlan, mark: string): KernelCommands {
  const { replaced, links } = linkCommands(state, plan, mark);
  const isNew = (bridge: string): boolean => !state.bridges.has(bridge);
  const connected = [...plan.ports].filter(
    ([port, bridge]) => state.ports.get(port) !== bridge || isNew(bridge),
  );
  return {
    disconnect: [...state.ports.keys()]
      .filter((port) => state.interfaces.has(port) && plan.ports.get(port) !== state.ports.get(port))
      .map((port) => `link set dev ${port} nomaster`),
    nftables: nftablesCommands(state, plan),
    links,
    // Of tunnels that are made again, all that the old ones had is gone.
    entries: entryCommands(without(state, replaced), plan),
    connect: connected.flatMap(([port, bridge]) => join(port, bridge)),
    remove: [...state.bridges].flatMap(([bridge, { tunnel }]) =>
      plan.bridges.has(bridge)
        ? []
        : [...(tunnel === undefined ? [] : [`link delete dev ${tunnel.name}`]), `link delete dev ${bridge}`],
    ),
  };
}

/** Nothing is learned from a port, and nothing unknown is sent to it. */
function join(port: string, bridge: string): readonly string[] {
  return [
    `link set dev ${port} master ${bridge}`,
    `link set dev ${port} type bridge_slave learning off flood off`,
  ];
}

function linkCommands(
  state: KernelState,
  plan: KernelPlan,
  mark: string,
): { readonly replaced: ReadonlySet<string>; readonly links: readonly string[] } {
  const replaced = new Set<string>();
  const links: string[] = [];
  for (const [bridge, { tunnel }] of plan.bridges) {
    const there = state.bridges.get(bridge);
    if (there === undefined) {
      links.push(
        `link add name ${bridge} type bridge mcast_snooping 0 nf_call_iptables 1 nf_call_ip6tables 1`,
        `link set dev ${bridge} alias ${mark} addrgenmode none`,
        `link set dev ${bridge} up`,
      );
    }
    const had = there?.tunnel;
    if (had !== undefined && (tunnel?.vni !== had.vni || tunnel.local !== had.local)) {
      replaced.add(had.name);
      links.push(`link delete dev ${had.name}`);
    }
    if (tunnel === undefined || (had !== undefined && !replaced.has(had.name))) continue;
    const { name, vni, local } = tunnel;
    const checksums = local.includes(':') ? ' udp6zerocsumrx' : '';
    links.push(
      `link add name ${name} type vxlan id ${vni} local ${local} dstport ${VXLAN_PORT} nolearning${checksums}`,
      `link set dev ${name} alias ${mark} addrgenmode none`,
      ...join(name, bridge),
      `link set dev ${name} up`,
    );
  }
  return { replaced, links };
}

function without(state: KernelState, tunnels: ReadonlySet<string>): KernelState {
  if (tunnels.size === 0) return state;
  const isOf = (key: string): boolean => tunnels.has(key.split(' ')[0] ?? '');
  return {
    ...state,
    stations: new Map([...state.stations].filter(([, port]) => !tunnels.has(port))),
    remotes: new Map([...state.remotes].filter(([key]) => !isOf(key))),
    floods: new Set([...state.floods].filter((key) => !isOf(key))),
  };
}

/** Commands of `bridge`. An entry that changes its place is replaced, so that it is never away. */
function entryCommands(state: KernelState, plan: KernelPlan): readonly string[] {
  const lines: string[] = [];
  const gone = (bridge: string): boolean => !plan.bridges.has(bridge);
  const isGoneTunnel = (tunnel: string): boolean => gone(tunnel.replace('weft-vx', 'weft-br'));
  for (const [key, tunnel] of split(plan.remotes.keys())) {
    const dst = plan.remotes.get(key);
    if (state.remotes.get(key) !== dst)
      lines.push(`fdb replace ${tunnel[1]} dev ${tunnel[0]} dst ${dst} self permanent`);
  }
  for (const [key, [tunnel, dst]] of split(plan.floods)) {
    if (!state.floods.has(key)) lines.push(`fdb append ${EVERYBODY} dev ${tunnel} dst ${dst} self permanent`);
  }
  for (const [key, [, mac]] of split(plan.stations.keys())) {
    const port = plan.stations.get(key) ?? '';
    // Those of a port that is not one yet come with it.
    const isNewPort = plan.ports.has(port) && state.ports.get(port) !== plan.ports.get(port);
    if (state.stations.get(key) !== port && !isNewPort)
      lines.push(`fdb replace ${mac} dev ${port} master static`);
  }
  for (const [key, [bridge, mac]] of split(state.stations.keys())) {
    const port = state.stations.get(key) ?? '';
    // What is gone with its bridge or its port needs no command.
    if (
      plan.stations.has(key) ||
      gone(bridge) ||
      (plan.ports.get(port) === undefined && state.ports.has(port))
    )
      continue;
    lines.push(`fdb delete ${mac} dev ${port} master static`);
  }
  for (const [key, [tunnel, mac]] of split(state.remotes.keys())) {
    if (!plan.remotes.has(key) && !isGoneTunnel(tunnel)) {
      lines.push(`fdb delete ${mac} dev ${tunnel} dst ${state.remotes.get(key)} self`);
    }
  }
  for (const [key, [tunnel, dst]] of split(state.floods)) {
    if (!plan.floods.has(key) && !isGoneTunnel(tunnel)) {
      lines.push(`fdb delete ${EVERYBODY} dev ${tunnel} dst ${dst} self`);
    }
  }
  return lines;
}

/** Entries of ports that have just been connected. */
export function portEntries(state: KernelState, plan: KernelPlan): readonly string[] {
  return split(plan.stations.keys()).flatMap(([key, [, mac]]) => {
    const port = plan.stations.get(key) ?? '';
    const isNew = plan.ports.has(port) && state.ports.get(port) !== plan.ports.get(port);
    return isNew ? [`fdb replace ${mac} dev ${port} master static`] : [];
  });
}

function split(keys: Iterable<string>): readonly (readonly [string, readonly [string, string]])[] {
  return [...keys].map((key) => {
    const [first = '', second = ''] = key.split(' ');
    return [key, [first, second]] as const;
  });
}

/** One transaction: what is new first, then who refers to it, then what nobody refers to any more. */
function nftablesCommands(state: KernelState, plan: KernelPlan): readonly string[] {
  const collections = state.skeleton ? state.collections : new Map<CollectionName, ReadonlySet<string>>();
  const named = state.skeleton ? state.named : new Set<string>();
  const fresh = [...plan.named.values()].filter(({ name }) => !named.has(name));
  const stale = [...named].filter((name) => !plan.named.has(name));
  const lines = state.skeleton
    ? []
    : [
        'table bridge weft {}',
        'delete table bridge weft',
        'table inet weft {}',
        'delete table inet weft',
        SKELETON,
      ];
  for (const one of fresh) if (one.type !== undefined) lines.push(newSet(one, one.type));
  for (const { name, rules } of fresh) {
    if (rules === undefined) continue;
    lines.push(`add chain inet weft ${name}`, ...rules.map((rule) => `add rule inet weft ${name} ${rule}`));
  }
  for (const name of COLLECTIONS) {
    const [have, want] = [collections.get(name) ?? NOTHING, plan.collections.get(name) ?? NOTHING];
    const [less, more] = [minus(have, want), minus(want, have)];
    if (less.length > 0) lines.push(`delete element ${inTable(name)} { ${less.join(', ')} }`);
    if (more.length > 0) lines.push(`add element ${inTable(name)} { ${more.join(', ')} }`);
  }
  for (const name of stale) if (isChain(name)) lines.push(`flush chain inet weft ${name}`);
  for (const name of stale) lines.push(`delete ${isChain(name) ? 'chain' : 'set'} inet weft ${name}`);
  return lines;
}

const NOTHING: ReadonlySet<string> = new Set();
const isChain = (name: string): boolean => name.startsWith('s-');
const minus = (a: ReadonlySet<string>, b: ReadonlySet<string>): string[] =>
  [...a].filter((one) => !b.has(one));

/** `bridge weft macs` */
function inTable(name: CollectionName): string {
  return name.replace(' ', ' weft ');
}

function newSet({ name, elements = [] }: Named, type: string): string {
  return `add set inet weft ${name} { type ${type}; elements = { ${elements.join(', ')} }; }`;
}
