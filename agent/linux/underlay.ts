/** What the agent has to know of the host's own network before it touches it: where the tunnel address is, and what the uplink carries. */
import { isIP } from 'node:net';
import { AgentError } from '../error.js';
import { command, runCommand } from './command.js';
import { linkMtu } from './links.js';

/** The interface that holds the tunnel address, and its MTU in bytes. Rejects with `agent.vtep.missing`. */
export async function findUnderlay(
  vtepIp: string,
): Promise<{ readonly interface: string; readonly mtu: number }> {
  const shown = await command(['ip', '-json', 'addr', 'show', 'to', vtepIp]);
  const links = JSON.parse(shown || '[]') as { ifname?: string; mtu?: number }[];
  for (const { ifname, mtu } of links) {
    if (ifname !== undefined && mtu !== undefined) return { interface: ifname, mtu };
  }
  throw new AgentError('agent.vtep.missing', `no interface of this host has the address ${vtepIp}`, {
    path: 'vtepIp',
    fix: 'give the address that other hosts reach this one by',
  });
}

/** The interface through which packets to an address leave; undefined when there is no route. */
async function routeInterface(address: string): Promise<string | undefined> {
  if (isIP(address) === 0) return undefined;
  const result = await runCommand(['ip', '-json', 'route', 'get', address]);
  if (result.exitCode !== 0) return undefined;
  return (JSON.parse(result.stdout) as { dev?: string }[])[0]?.dev;
}

async function defaultRouteInterfaces(): Promise<readonly string[]> {
  const shown = await Promise.all(
    ['-4', '-6'].map((family) =>
      command(['ip', '-json', family, 'route', 'show', 'default', 'table', 'all']),
    ),
  );
  return shown
    .flatMap((text) => JSON.parse(text || '[]') as { dev?: string; nexthops?: { dev?: string }[] }[])
    .flatMap((route) => [route.dev, ...(route.nexthops ?? []).map((hop) => hop.dev)])
    .filter((name): name is string => name !== undefined);
}

export interface UplinkUse {
  /** Address of the controller, without port. */
  readonly controller?: string;
  readonly vtepIp?: string;
  /** The value of SSH_CONNECTION ('client port server port', sshd(8)) of whoever starts the agent. */
  readonly sshConnection?: string | undefined;
}

/**
 * Why making the interface a port of a bridge would cut off this host: addresses and routes of a bridge port no longer work. Empty:
 * nothing speaks against it.
 */
export async function uplinkObjections(uplink: string, use: UplinkUse): Promise<readonly string[]> {
  const objections: string[] = [];
  if ((await defaultRouteInterfaces()).includes(uplink)) objections.push('it carries the default route');
  const [client, , server] = (use.sshConnection ?? '').split(' ');
  if (client && server && ((await routeInterface(client)) === uplink || (await holds(uplink, server)))) {
    objections.push(`it carries the SSH session from ${client} that starts the agent`);
  }
  if (use.controller !== undefined && (await routeInterface(use.controller)) === uplink) {
    objections.push(`it carries the connection to the controller ${use.controller}`);
  }
  if (use.vtepIp !== undefined && (await holds(uplink, use.vtepIp))) {
    objections.push(`it holds the tunnel address ${use.vtepIp}`);
  }
  return objections;
}

async function holds(name: string, address: string): Promise<boolean> {
  if (isIP(address) === 0) return false;
  const result = await runCommand(['ip', '-json', 'addr', 'show', 'dev', name, 'to', address]);
  return (
    result.exitCode === 0 && (JSON.parse(result.stdout || '[]') as object[]).some((link) => 'ifname' in link)
  );
}

/** Rejects with `agent.uplink.missing`, or with `agent.uplink.unsafe` unless forced. */
export async function checkUplink(
  uplink: string,
  use: UplinkUse & { readonly force: boolean },
): Promise<void> {
  if ((await linkMtu(uplink)) === undefined) {
    throw new AgentError('agent.uplink.missing', `this host has no interface ${uplink}`, { path: 'uplink' });
  }
  if (use.force) return;
  const objections = await uplinkObjections(uplink, use);
  if (objections.length === 0) return;
  throw new AgentError('agent.uplink.unsafe', `${uplink} cannot be the uplink: ${objections.join('; ')}`, {
    path: 'uplink',
    fix: 'give an interface of its own, or --force-uplink when the host is reached another way',
  });
}
