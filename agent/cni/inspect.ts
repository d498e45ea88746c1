/** What is in a container's namespace, and the host's end of a leg. */
import { runCommand, type CommandResult } from '../linux/command.js';

export interface InspectedInterface {
  readonly mac: string;
  readonly up: boolean;
  /** With prefix length. */
  readonly addresses: readonly string[];
}

interface LinkJson {
  readonly address?: string;
  readonly flags?: readonly string[];
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
}

interface RouteJson {
  readonly gateway?: string;
}

function inside(netns: string, argv: readonly string[]): Promise<CommandResult> {
  return runCommand(['nsenter', `--net=${netns}`, '--', ...argv]);
}

/** Undefined when there is no such interface, or no such namespace. */
export async function inspectInterface(netns: string, name: string): Promise<InspectedInterface | undefined> {
  const { exitCode, stdout } = await inside(netns, ['ip', '-json', 'addr', 'show', 'dev', name]);
  if (exitCode !== 0) return undefined;
  const [link] = JSON.parse(stdout) as LinkJson[];
  if (link === undefined) return undefined;
  return {
    mac: link.address ?? '',
    up: link.flags?.includes('UP') === true,
    addresses: (link.addr_info ?? []).flatMap(({ local, prefixlen }) =>
      local === undefined ? [] : [`${local}/${prefixlen}`],
    ),
  };
}

/** Gateways of the default routes through an interface, of the families of the given ones. */
export async function defaultRoutes(
  netns: string,
  name: string,
  gateways: readonly string[],
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const family of new Set(gateways.map((gateway) => (gateway.includes(':') ? '-6' : '-4')))) {
    const argv = ['ip', '-json', family, 'route', 'show', 'default', 'dev', name];
    const { exitCode, stdout } = await inside(netns, argv);
    if (exitCode !== 0) continue;
    for (const { gateway } of JSON.parse(stdout || '[]') as RouteJson[]) {
      if (gateway !== undefined) found.push(gateway);
    }
  }
  return found;
}

/** Of a link of the host; undefined when there is none. sysfs would know those of the namespace that it was mounted in. */
export async function macOf(name: string): Promise<string | undefined> {
  const { exitCode, stdout } = await runCommand(['ip', '-json', 'link', 'show', 'dev', name]);
  return exitCode === 0 ? (JSON.parse(stdout) as LinkJson[])[0]?.address : undefined;
}

/** On both ends of a leg. Undefined when it is done, else what the kernel said. */
export async function setLegMtu(
  leg: { readonly host: string; readonly netns: string; readonly inner: string },
  mtu: number,
): Promise<string | undefined> {
  const set = (name: string): string[] => ['ip', 'link', 'set', 'dev', name, 'mtu', `${mtu}`];
  for (const { exitCode, stderr } of [
    await runCommand(set(leg.host)),
    await inside(leg.netns, set(leg.inner)),
  ])
    if (exitCode !== 0) return stderr.trim();
  return undefined;
}
