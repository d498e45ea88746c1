/** Running the lines that a topology's documentation gives, inside a host of the lab: its own loopback, Open vSwitch and /tmp. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ExecResult, LabHost } from '../../topologies/lab/index.js';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The line of the documentation of `topologies/FILE.py` that starts with `command`, as words. */
export function documentedCommand(file: string, command: string): readonly string[] {
  const text = readFileSync(`${ROOT}topologies/${file}.py`, 'utf8');
  const line = text.split('\n').find((one) => one.startsWith(`    ${command} `));
  if (line === undefined) throw new Error(`topologies/${file}.py does not say how to run ${command}`);
  return line.trim().split(' ');
}

/**
 * Runs `mn` as the documentation of `topologies/FILE.py` says, then `after` as lines for mininet's command line. Not `h1 ping …`:
 * it would hand the following lines to ping.
 *
 * When mn fails it kills processes by name and removes files in /tmp, so it gets a process namespace and a /tmp of its own. The
 * topologies are copied aside first: the clone may itself be in /tmp.
 */
export function runMininet(host: LabHost, file: string, after: readonly string[]): Promise<ExecResult> {
  const apart = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const aside =
    'mount -t tmpfs tmpfs /mnt && cp -r "$0"topologies /mnt && cd /mnt && cat >after && mount -t tmpfs tmpfs /tmp && exec "$@"';
  const mn = [...documentedCommand(file, 'mn'), '--post', 'after'];
  return host.run([...apart, 'sh', '-c', aside, ROOT, ...mn], {
    env: host.ovsEnvironment,
    input: after.map((line) => `${line}\n`).join(''),
    timeoutMs: 90_000,
  });
}
