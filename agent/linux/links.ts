/**
 * Links of the host and legs of network namespaces, through iproute2.
 *
 * Links that the agent makes carry an alias `weft:<owner>:<endpoint>`, so that what a crash left half made is found again.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { AgentError } from '../error.js';
import { command, runCommand, type CommandResult } from './command.js';

interface LinkJson {
  readonly ifname: string;
  readonly mtu: number;
  readonly ifalias?: string;
}

/** A leg as it should be. */
export interface Leg {
  /** Name of the end that stays in the host. */
  readonly hostInterface: string;
  /** Path of the one for the inner end; absent: it stays in the host for whoever moves it. */
  readonly namespace?: string;
  readonly innerInterface: string;
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
  readonly alias: string;
  /** Turn checksum offload off: packets through the userspace datapath would leave without checksums. */
  readonly checksums: boolean;
}

/** Addresses with prefix length, gateways without. */
export interface LegAddresses {
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  /** IPv4 addresses outside of the subnet that are on the leg's link all the same. */
  readonly onLink?: readonly string[];
}

const inside = (namespace: string, argv: readonly string[]): string[] => [
  'nsenter',
  `--net=${namespace}`,
  '--',
  ...argv,
];

function isIPv6Text(address: string): boolean {
  return address.includes(':');
}

/** MTU of a link in bytes; undefined when there is no such link. */
export async function linkMtu(name: string): Promise<number | undefined> {
  const result = await runCommand(['ip', '-json', 'link', 'show', 'dev', name]);
  if (result.exitCode !== 0) return undefined;
  return (JSON.parse(result.stdout) as LinkJson[])[0]?.mtu;
}

export async function linkExists(name: string): Promise<boolean> {
  return (await linkMtu(name)) !== undefined;
}

/** All links of the host by name, with the alias where there is one. */
export async function listLinks(): Promise<ReadonlyMap<string, string | undefined>> {
  const links = JSON.parse(await command(['ip', '-json', 'link', 'show'])) as LinkJson[];
  return new Map(links.map((link) => [link.ifname, link.ifalias]));
}

/** No error when it is gone already. */
export async function deleteLink(name: string): Promise<void> {
  const result = await runCommand(['ip', 'link', 'delete', 'dev', name]);
  if (result.exitCode !== 0 && (await linkExists(name))) {
    throw new AgentError('agent.command.failed', `ip link delete ${name}: ${result.stderr.trim()}`);
  }
}

/**
 * Make the veth pair with its inner end, down, in the namespace (or in the host) and its outer end, up, in the host. Nothing is left when
 * it fails.
 * Rejects with `agent.namespace.missing`, `agent.interface.exists`, `agent.command.failed`.
 */
export async function createLeg(leg: Leg): Promise<void> {
  const { hostInterface, namespace, innerInterface, mac, mtu } = leg;
  if (namespace !== undefined && !existsSync(namespace)) {
    throw new AgentError('agent.namespace.missing', `there is no network namespace ${namespace}`, {
      path: 'netns',
      fix: 'give the path of a namespace, such as /run/netns/NAME or /proc/PID/ns/net',
    });
  }
  const place = namespace === undefined ? '' : ` netns ${namespace}`;
  const lines = [
    `link add ${hostInterface} mtu ${mtu} type veth peer name ${innerInterface} mtu ${mtu} address ${mac}${place}`,
    `link set dev ${hostInterface} alias ${leg.alias} addrgenmode none`,
    `link set dev ${hostInterface} up`,
  ];
  const addPair = (): Promise<CommandResult> => runCommand(['ip', '-batch', '-'], `${lines.join('\n')}\n`);
  let added = await addPair();
  if (added.stderr.includes('File exists') && (await linkExists(hostInterface))) {
    // Of an attachment of this endpoint that was cut off; the name is made of the endpoint's.
    await deleteLink(hostInterface);
    added = await addPair();
  }
  if (added.stderr.includes('File exists')) {
    throw new AgentError(
      'agent.interface.exists',
      `${namespace ?? 'this host'} has an interface ${innerInterface} already`,
      {
        path: namespace === undefined ? 'peer' : 'innerInterface',
        fix: 'choose another name',
      },
    );
  }
  try {
    if (added.exitCode !== 0) {
      throw new AgentError('agent.command.failed', `making ${hostInterface}: ${added.stderr.trim()}`);
    }
    silence(hostInterface);
    if (leg.checksums) {
      const argv = ['ethtool', '-K', innerInterface, 'tx', 'off'];
      await command(namespace === undefined ? argv : inside(namespace, argv));
    }
  } catch (error) {
    await deleteLink(hostInterface);
    throw error;
  }
}

/**
 * The kernel sees what comes by a port of the userspace datapath as well. It would answer ARP requests there for every address that the host
 * has, the name server's among them, before the switch does (`arp_ignore`, kernel's ip-sysctl).
 */
function silence(hostInterface: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv4/conf/${hostInterface}/arp_ignore`, '8');
  } catch {
    // Where /proc/sys is read-only (a container without privileges) the host goes on answering for what is its own.
  }
}

/**
 * Give the leg its addresses, bring it up and route through it. Repeating it is no error; addresses that are not named go. `fresh`: the
 * leg has just been made and has no addresses yet.
 */
export async function configureLeg(
  namespace: string,
  innerInterface: string,
  { addresses, gateways, onLink = [] }: LegAddresses,
  fresh = false,
): Promise<void> {
  const present = fresh ? [] : await legAddressesNow(namespace, innerInterface);
  const lines = [
    ...present
      .filter((cidr) => !addresses.includes(cidr))
      .map((cidr) => `addr delete ${cidr} dev ${innerInterface}`),
    // The controller gave the address to nobody else, so duplicate address detection would only delay it.
    ...addresses
      .filter((cidr) => !present.includes(cidr))
      .map((cidr) => `addr add ${cidr} dev ${innerInterface}${isIPv6Text(cidr) ? ' nodad' : ''}`),
    `link set dev ${innerInterface} up`,
  ];
  await command(inside(namespace, ['ip', '-batch', '-']), `${lines.join('\n')}\n`);
  for (const gateway of gateways) await routeDefault(namespace, innerInterface, gateway);
  for (const address of onLink) await routeOnLink(namespace, innerInterface, address);
}

/** A second leg does not take the route from the first. */
async function routeOnLink(namespace: string, innerInterface: string, address: string): Promise<void> {
  const argv = ['ip', 'route', 'add', `${address}/32`, 'dev', innerInterface, 'scope', 'link'];
  const { exitCode, stderr } = await runCommand(inside(namespace, argv));
  if (exitCode !== 0 && !stderr.includes('File exists'))
    throw new AgentError('agent.command.failed', `${argv.join(' ')}: ${stderr.trim()}`);
}

async function legAddressesNow(namespace: string, innerInterface: string): Promise<readonly string[]> {
  const argv = ['ip', '-json', 'addr', 'show', 'dev', innerInterface, 'scope', 'global'];
  const links = JSON.parse(await command(inside(namespace, argv))) as {
    addr_info?: { local?: string; prefixlen?: number }[];
  }[];
  // An address of another scope is shown as an empty object.
  return links
    .flatMap((link) => link.addr_info ?? [])
    .flatMap(({ local, prefixlen }) => (local === undefined ? [] : [`${local}/${prefixlen}`]));
}

/** A second leg does not take the default route from the first. */
async function routeDefault(namespace: string, innerInterface: string, gateway: string): Promise<void> {
  const family = isIPv6Text(gateway) ? '-6' : '-4';
  const shown = await command(inside(namespace, ['ip', '-json', family, 'route', 'show', 'default']));
  const routes = JSON.parse(shown || '[]') as { dev?: string }[];
  if (routes.some((route) => route.dev !== innerInterface)) return;
  await command(
    inside(namespace, ['ip', family, 'route', 'replace', 'default', 'via', gateway, 'dev', innerInterface]),
  );
}

export async function setMtu(name: string, mtu: number): Promise<void> {
  await command(['ip', 'link', 'set', 'dev', name, 'mtu', `${mtu}`]);
}

export async function setUp(name: string): Promise<void> {
  await command(['ip', 'link', 'set', 'dev', name, 'up']);
}
