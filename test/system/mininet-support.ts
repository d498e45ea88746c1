/** Running `mn` inside a host of the lab, with its own processes, its own /tmp and the host's own Open vSwitch. */
import { fileURLToPath } from 'node:url';
import type { ExecResult, LabHost } from '../../topologies/lab/index.js';

const TOPOLOGIES = fileURLToPath(new URL('../../../topologies/', import.meta.url));

export interface MininetRun {
  /** File in topologies/ without its ending. */
  readonly file: string;
  /** As `--topo` takes it. */
  readonly topology: string;
  /** `HOST:PORT` of the hub. */
  readonly hub: string;
  /** `HOST:PORT` of the OpenFlow listener. */
  readonly openflow: string;
  /** Lines for mininet's command line. Not `h1 ping …`: it would hand the following lines to ping. */
  readonly commands: readonly string[];
}

/**
 * As its documentation says to run it. When mn fails it kills processes by name and removes files in /tmp, so it gets a process namespace
 * and a /tmp of its own. The topologies are copied aside first: the clone may itself be in /tmp.
 */
export function runMininet(host: LabHost, run: MininetRun): Promise<ExecResult> {
  const [address, port] = run.openflow.split(':');
  const mn = ['mn', '--custom', `/mnt/${run.file}.py`, '--topo', run.topology];
  mn.push('--controller', `remote,ip=${address},port=${port}`);
  mn.push('--switch', 'ovs,datapath=user,protocols=OpenFlow13');
  const apart = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const aside =
    'mount -t tmpfs tmpfs /mnt && cp "$0"*.py /mnt && cd /mnt && mount -t tmpfs tmpfs /tmp && exec "$@"';
  return host.run([...apart, 'sh', '-c', aside, TOPOLOGIES, ...mn], {
    env: { ...host.ovsEnvironment, WEFT_HUB: run.hub },
    input: [...run.commands, 'exit', ''].join('\n'),
    timeoutMs: 90_000,
  });
}
