/**
 * `npm run topo -- TOPOLOGY [NUMBER…] [--test TEST] [--controller ADDRESS] [-- OPTION OF mn…]`: a controller and mininet under it, in one
 * command.
 *
 *     node dist/topologies/topo.js                         which topologies there are
 *     node dist/topologies/topo.js torus 3 3               stays in mininet's command line until `exit`
 *     node dist/topologies/topo.js ring 6 --test pingall   a check: the exit code is not 0 when somebody is not reached
 *
 * Both run in a namespace with an Open vSwitch of its own, so that neither the machine's Open vSwitch nor its addresses are touched. The
 * switches belong to no agent and no intent: the controller finds out how they are linked and where stations are.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { type Daemon, Lab, LabError, type LabHost, until } from './lab/index.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SWITCH = 'ovs,datapath=user,protocols=OpenFlow13';
const READY_MS = 30_000;
const HTTP_PORT = 9_999;
const OPENFLOW_PORT = 6_653;
const STATIONS = 'stations.py';
/** mininet's own, which need a file for the hosts only. */
const BUILT_IN = {
  single: 'one switch with k stations: single 4',
  linear: 'k switches in a line, n stations at each: linear 4 1',
  tree: 'a tree of switches, its depth and fan-out: tree 2 3',
} as const;

/** What is asked for. */
export interface TopoRequest {
  readonly topology: string;
  /** Numbers, as the topology takes them. */
  readonly arguments: readonly string[];
  /** A test of mn, `pingall` or `iperf` for example; absent: its command line. */
  readonly test?: string;
  /** OpenFlow address of a controller that runs, 'host' or 'host:port'; absent: one is started. */
  readonly controller?: string;
  /** Further options of mn. */
  readonly options: readonly string[];
}

export interface ControllerAddress {
  readonly host: string;
  readonly port: number;
}

/** A file of this folder that declares `topos`, and the first line of its documentation. */
export interface Topology {
  readonly name: string;
  readonly title: string;
  /** Relative to the clone. */
  readonly file: string;
}

/** The fabric topologies of this folder: those whose hosts are stations and whose switches have no agent. */
export function fabricTopologies(): readonly Topology[] {
  return readdirSync(join(ROOT, 'topologies'))
    .filter((file) => file.endsWith('.py') && file !== STATIONS)
    .map((file) => ({ file, text: readFileSync(join(ROOT, 'topologies', file), 'utf8') }))
    .filter(({ text }) => text.includes('from stations import'))
    .map(({ file, text }) => ({
      name: file.replace(/\.py$/, ''),
      title: text.slice(3, text.indexOf('\n')),
      file: `topologies/${file}`,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A request that cannot be carried out; the text says what can. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * The words of the `mn` command.
 *
 * @param controller where the switches find the controller; absent: mn's own choice, 127.0.0.1:6653
 * @throws UsageError naming the topologies there are
 */
export function mininetCommand(request: TopoRequest, controller?: ControllerAddress): readonly string[] {
  const { arguments: numbers, test, options } = request;
  const topology = request.topology.replaceAll('-', '_');
  const wrong = numbers.find((number) => !/^\d+$/.test(number));
  if (wrong !== undefined) throw new UsageError(`${wrong} is not a number, as arguments of topologies are`);
  const known = fabricTopologies();
  const own = known.find(({ name }) => name === topology);
  if (own === undefined && !(topology in BUILT_IN)) {
    const names = [...known.map(({ name }) => name), ...Object.keys(BUILT_IN)];
    throw new UsageError(`there is no topology ${request.topology}; there are ${names.sort().join(', ')}`);
  }
  const file = own?.file ?? `topologies/${STATIONS}`;
  const remote = controller && [`ip=${controller.host}`, `port=${controller.port}`];
  const target = ['remote', ...(remote ?? [])].join(',');
  return [
    'mn',
    '--custom',
    file,
    '--topo',
    [topology, ...numbers].join(','),
    ...(own === undefined ? ['--host', 'station'] : []),
    '--controller',
    target,
    '--switch',
    SWITCH,
    ...(test === undefined ? [] : ['--test', test]),
    ...options,
  ];
}

/** The list of topologies, for people. */
export function listing(): string {
  const lines = fabricTopologies().map(({ name, title }) => [name, title] as const);
  const width = Math.max(
    ...[...lines.map(([name]) => name), ...Object.keys(BUILT_IN)].map((name) => name.length),
  );
  const show = ([name, title]: readonly [string, string]): string => `  ${name.padEnd(width)}  ${title}`;
  return [
    'npm run topo -- TOPOLOGY [NUMBER…] [--test pingall|iperf] [--controller ADDRESS] [-- OPTION OF mn…]',
    '',
    'Topologies of switches that are linked to each other (topologies/NAME.py says more):',
    ...lines.map(show),
    "And of mininet's own:",
    ...Object.entries(BUILT_IN).map(show),
    '',
  ].join('\n');
}

/** What runs `mn` in a host of the lab: with processes and a /tmp of its own, since a failing mn kills by name and removes files. */
export function apart(argv: readonly string[]): readonly string[] {
  const aside =
    'mount -t tmpfs tmpfs /mnt && cp -r "$0"topologies /mnt && cd /mnt && mount -t tmpfs tmpfs /tmp && exec "$@"';
  return ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', aside, ROOT, ...argv];
}

/** `weft controller` in a host of the lab: OpenFlow on its loopback address, the API where the whole machine reaches it. */
export async function startController(lab: Lab, host: LabHost): Promise<{ daemon: Daemon; server: string }> {
  const http = `${host.managementAddress}:${HTTP_PORT}`;
  const data = join(lab.directory, 'controller');
  const weft = [process.execPath, join(ROOT, 'dist/cli/main.js')];
  const daemon = host.spawn('controller', [...weft, 'controller', '--data', data, '--http', http]);
  const server = `http://${http}`;
  await until(
    'the controller to be ready',
    async () => {
      if (!daemon.running) throw new LabError('topo.controller', `the controller ended:\n${daemon.log()}`);
      return (await fetch(`${server}/readyz`).catch(() => undefined))?.ok === true;
    },
    READY_MS,
  );
  return { daemon, server };
}

/**
 * The address that reaches from inside the lab what is `address` on this machine.
 *
 * @throws UsageError when nothing listens there
 */
async function fromInside(lab: Lab, host: LabHost, address: string): Promise<ControllerAddress> {
  const [, name = '', digits] = /^(.+?)(?::(\d+))?$/.exec(address) ?? [];
  const local = name === 'localhost' || name.startsWith('127.');
  const inside = { host: local ? lab.managementAddress : name, port: Number(digits ?? OPENFLOW_PORT) };
  const connect = `socket.create_connection(('${inside.host}', ${inside.port}), 5)`;
  if ((await host.run(['/usr/bin/python3', '-c', `import socket; ${connect}`])).exitCode !== 0) {
    throw new UsageError(
      `no controller answers at ${inside.host}:${inside.port}, which is ${address} from inside the namespace; ` +
        'weft controller --openflow 0.0.0.0:6653 listens on all addresses',
    );
  }
  return inside;
}

async function run(request: TopoRequest): Promise<number> {
  mininetCommand(request); // What cannot be is said before anything is built.
  if (process.getuid?.() !== 0) throw new UsageError('network namespaces need root: run this as root');
  say('building a namespace with Open vSwitch');
  const lab = await Lab.create({ name: 'topo', hosts: [{ name: 'm', vtepIp: false, uplink: false }] });
  try {
    const host = lab.host('m');
    let controller: ControllerAddress | undefined;
    if (request.controller !== undefined) controller = await fromInside(lab, host, request.controller);
    else {
      say('starting a controller');
      const { server } = await startController(lab, host);
      say(`what it finds out:  cli/weft get fabric --server ${server}`);
    }
    const mn = mininetCommand(request, controller);
    say(mn.join(' '));
    const argv = ['nsenter', `--net=${host.path}`, '--', ...apart(mn)];
    return await attached(argv, { ...process.env, ...host.ovsEnvironment });
  } finally {
    await lab.destroy();
    say('namespace, switches and what was started in it are gone');
  }
}

/** Runs a command on this terminal; resolves with its exit code. Ctrl-C is the command's; unshare(1) heeds no other signal than SIGKILL. */
function attached([command = '', ...argv]: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(command, argv, { stdio: 'inherit', env });
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function say(text: string): void {
  process.stderr.write(`weft: ${text}\n`);
}

async function main(argv: readonly string[]): Promise<number> {
  const end = argv.indexOf('--');
  const [own, options] = end < 0 ? [argv, []] : [argv.slice(0, end), argv.slice(end + 1)];
  const { values, positionals } = parseArgs({
    args: [...own],
    allowPositionals: true,
    options: {
      test: { type: 'string' },
      controller: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const [topology, ...numbers] = positionals;
  if (topology === undefined || values.help === true) {
    process.stdout.write(listing());
    return 0;
  }
  const { test, controller } = values;
  return await run({
    topology,
    arguments: numbers,
    options,
    ...(test === undefined ? {} : { test }),
    ...(controller === undefined ? {} : { controller }),
  });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      say(error instanceof Error ? error.message : String(error));
      process.exitCode = 2;
    },
  );
}
