/** The CNI front as runtimes start it: an executable, its environment, JSON in and out. */
import { join } from 'node:path';
import type { Lab, LabHost } from '../../topologies/lab/index.js';
import { run } from '../../topologies/lab/index.js';

/** What a front answered. */
export interface CniAnswer {
  readonly exitCode: number;
  /** Parsed; undefined: nothing was printed. */
  readonly result: CniResult | undefined;
}

/** A result or an error, of whatever version. */
export interface CniResult {
  readonly cniVersion: string;
  readonly interfaces?: readonly { name: string; mac?: string; sandbox?: string }[];
  readonly ips?: readonly { address: string; gateway?: string; interface?: number }[];
  readonly routes?: readonly { dst: string; gw?: string }[];
  readonly code?: number;
  readonly msg?: string;
  readonly details?: string;
}

/** Where an agent of the lab installs its front, and serves it. */
export function cniPaths(lab: Lab, { name }: LabHost) {
  const root = join(lab.directory, `${name}-root`);
  return {
    root,
    socket: join(lab.directory, `${name}-cni.sock`),
    bin: join(root, 'opt/cni/bin'),
    lists: join(root, 'etc/cni/net.d'),
  };
}

export interface CniCall {
  readonly containerId?: string;
  readonly netns?: string;
  /** Default eth0. */
  readonly interfaceName?: string;
  readonly args?: string;
}

/** Run the executable once. */
export async function callFront(
  front: string,
  command: string,
  configuration: unknown,
  { containerId, netns, interfaceName = 'eth0', args }: CniCall = {},
): Promise<CniAnswer> {
  const env: Record<string, string> = {
    CNI_COMMAND: command,
    CNI_PATH: '/opt/cni/bin',
    ...(containerId === undefined ? {} : { CNI_CONTAINERID: containerId, CNI_IFNAME: interfaceName }),
    ...(netns === undefined ? {} : { CNI_NETNS: netns }),
    ...(args === undefined ? {} : { CNI_ARGS: args }),
  };
  const { exitCode, stdout } = await run([front], {
    env,
    input: JSON.stringify(configuration),
    timeoutMs: 120_000,
  });
  return { exitCode, result: stdout.trim() === '' ? undefined : (JSON.parse(stdout) as CniResult) };
}
