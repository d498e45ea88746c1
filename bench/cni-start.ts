/**
 * The start of the CNI plugin: a runtime starts an executable for each operation, so this is what every container waits for before the
 * agent has heard of it. The front asks a plugin that has nothing to do (STATUS), beside the same request out of a process of Node; and
 * it says its versions (VERSION), beside the plugin `bridge` of the CNI project, which is in Go.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { frontScript } from '../agent/cni/front.js';
import { CniPlugin } from '../agent/cni/plugin.js';
import { serveCni } from '../agent/cni/server.js';
import { silentLogger } from '../agent/logger.js';
import { compare, inTurn, median, type Result, spread, timed } from './harness.js';

/** From Debian's containernetworking-plugins. */
const BRIDGE = '/usr/lib/cni/bridge';
/** Milliseconds. */
const LIMIT = 60;
const CONFIGURATION = JSON.stringify({ cniVersion: '1.1.0', name: 'bench', type: 'weft', tenant: 'acme' });

/** What the front does, as a process of Node would. */
const TWIN = `
import { request } from 'node:http';
import { readFileSync } from 'node:fs';
const headers = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('CNI_'))
  .map(([name, value]) => [name.toLowerCase().replace('_', '-'), value]));
const asked = request({ socketPath: process.argv[2], path: '/cni', method: 'POST', headers }, (answer) => {
  process.exitCode = answer.statusCode === 200 ? 0 : 1;
  answer.pipe(process.stdout);
});
asked.end(readFileSync(0));
`;

/** Nothing is attached, and everything is well. */
const idle = {
  attach: () => Promise.reject(new Error('nothing is attached here')),
  detach: async () => false,
  entries: () => [],
  registered: async () => {},
  connected: true,
  switchState: 'ready',
};

function start(argv: readonly string[], command: string): Promise<void> {
  const [executable = '', ...args] = argv;
  const env = { PATH: process.env['PATH'], CNI_COMMAND: command, CNI_PATH: '/opt/cni/bin' };
  return new Promise((resolve, reject) => {
    const child = execFile(executable, args, { env }, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
    child.stdin?.end(CONFIGURATION);
  });
}

export async function run({ rounds = 30 }: { readonly rounds?: number }): Promise<readonly Result[]> {
  const directory = await mkdtemp(join(tmpdir(), 'weft-bench-cni-'));
  const [socket, front, twin] = ['cni.sock', 'weft', 'twin.mjs'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(front, frontScript(socket));
  await chmod(front, 0o755);
  await writeFile(twin, TWIN);
  const state = { current: { cni: {} }, update: async () => {} };
  const server = await serveCni(
    socket,
    new CniPlugin({ agent: idle, state, logger: silentLogger }),
    silentLogger,
  );
  const hasBridge = existsSync(BRIDGE);
  if (!hasBridge)
    console.error(`without ${BRIDGE} (Debian: containernetworking-plugins) there is no such peer`);
  try {
    const figures = await inTurn(rounds, {
      asked: () => timed(() => start([front], 'STATUS')),
      twin: () => timed(() => start([process.execPath, twin, socket], 'STATUS')),
      version: () => timed(() => start([front], 'VERSION')),
      bridge: () => (hasBridge ? timed(() => start([BRIDGE], 'VERSION')) : Number.NaN),
    });
    const lower = { better: 'lower' } as const;
    return [
      {
        name: 'CNI plugin, started and answered by the agent',
        unit: 'ms',
        value: median(figures.asked),
        spread: spread(figures.asked),
        peer: 'limit',
        peerValue: LIMIT,
        target: 1,
        ...lower,
      },
      compare('the same', 'ms', figures.asked, 'in Node', figures.twin, lower),
      ...(hasBridge
        ? [compare('CNI plugin, its versions', 'ms', figures.version, 'bridge (Go)', figures.bridge, lower)]
        : []),
    ];
  } finally {
    await server.close();
    await rm(directory, { recursive: true });
  }
}
