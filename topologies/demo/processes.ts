/** The demo's real processes: `weft controller` in the root namespace, `weft agent` inside every host, `weft apply`. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  LocalAttach,
  LocalStatus,
  type LocalAttachParams,
  type LocalAttachResult,
} from '../../agent/index.js';
import { connect, Peer, Router } from '../../rpc/index.js';
import { LabError, run, until, type Daemon, type Lab, type LabHost } from '../lab/index.js';

const WEFT = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const START_TIMEOUT_MS = 30_000;
const HTTP_PORT = 9_999;
const HUB_PORT = 9_001;
const OPENFLOW_PORT = 6_653;

export interface RunningController {
  /** Base URL of the HTTP API. */
  readonly server: string;
  readonly hub: string;
  readonly openflow: string;
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port }, () => server.close(() => resolve(true)));
  });
}

function failed(daemon: Daemon): LabError {
  const tail = daemon.log().trimEnd().split('\n').slice(-15).join('\n');
  return new LabError('demo.process.ended', `${daemon.name} ended:\n${tail}`);
}

/** Start the controller with a data folder inside the lab's directory; resolves when it is ready. */
export async function startController(lab: Lab): Promise<RunningController> {
  const { managementAddress } = lab;
  // On the usual port, so that `weft get` needs no option; beside another controller on the lab's own address.
  const host = (await isFree('127.0.0.1', HTTP_PORT)) ? '127.0.0.1' : managementAddress;
  const http = `${host}:${HTTP_PORT}`;
  const [hub, openflow] = [`${managementAddress}:${HUB_PORT}`, `${managementAddress}:${OPENFLOW_PORT}`];
  const argv = ['controller', '--openflow', openflow, '--hub', hub, '--http', http];
  argv.push('--data', join(lab.directory, 'controller'), '--store', 'level');
  const daemon = lab.spawn('controller', [process.execPath, WEFT, ...argv]);
  const server = `http://${http}`;
  await until(
    'the controller to be ready',
    async () => {
      if (!daemon.running) throw failed(daemon);
      return (await fetch(`${server}/readyz`).catch(() => undefined))?.ok;
    },
    START_TIMEOUT_MS,
  );
  return { server, hub, openflow };
}

/** Run `weft apply`; what it prints. Rejects with what it says when the controller refuses. */
export async function applyIntents(file: string, { server }: RunningController): Promise<string> {
  const result = await run([process.execPath, WEFT, 'apply', '-f', file, '--server', server], {
    timeoutMs: 60_000,
  });
  if (result.exitCode !== 0)
    throw new LabError('demo.apply.failed', `weft apply -f ${file}: ${result.stderr}`);
  return result.stdout;
}

const socketOf = (lab: Lab, host: LabHost): string => join(lab.directory, `${host.name}-agent.sock`);

/** Start the agent of a host; resolves when the controller has registered it. */
export async function startAgent(lab: Lab, host: LabHost, controller: RunningController): Promise<void> {
  const argv = [
    'agent',
    '--host-label',
    host.name,
    '--controller',
    controller.hub,
    '--openflow',
    controller.openflow,
  ];
  argv.push(
    '--ovsdb',
    host.ovsdb,
    '--socket',
    socketOf(lab, host),
    '--state',
    join(lab.directory, `${host.name}-state`),
  );
  if (host.vtepIp !== undefined) argv.push('--vtep-ip', host.vtepIp);
  if (host.uplink !== undefined) argv.push('--uplink', host.uplink);
  const daemon = host.spawn('agent', [process.execPath, WEFT, ...argv], { SSH_CONNECTION: '' });
  await until(
    `the agent of ${host.name} to be registered`,
    async () => {
      if (!daemon.running) throw failed(daemon);
      const status = await withAgent(lab, host, (peer) => peer.call(LocalStatus, {})).catch(() => undefined);
      return status?.controller === 'registered';
    },
    START_TIMEOUT_MS,
  );
}

/** What `weft attach` does, without the start of a process for each. */
export function attach(lab: Lab, host: LabHost, params: LocalAttachParams): Promise<LocalAttachResult> {
  return withAgent(lab, host, (peer) => peer.call(LocalAttach, params, { deadlineMs: 60_000 }));
}

async function withAgent<T>(lab: Lab, host: LabHost, use: (peer: Peer) => Promise<T>): Promise<T> {
  const peer = new Peer(await connect({ kind: 'unix', path: socketOf(lab, host) }), { router: new Router() });
  try {
    return await use(peer);
  } finally {
    peer.close('done');
  }
}
