/**
 * The hub under load: calls per second on one connection, and notifications per second to 200 peers; against a bare echo
 * of JSON lines on Node (the ceiling) and a JSON-RPC server on Python's asyncio (the peer). The same load, made of bytes prepared
 * before, goes to each server in a process of its own; the medians of alternating rounds are compared.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Peer, Router, RequestType, EndpointAttach } from '../rpc/index.js';
import { compare, type Result } from './harness.js';

const PEERS = 200;
const WINDOW = 256;
const PER_TURN = 10;
const directory = dirname(fileURLToPath(import.meta.url));

const params = { endpoint: 'acme/web/container-17', interface: 'v-container-17', deadlineMs: 5000 };
const news = {
  endpoint: 'acme/web/container-17',
  view: { endpoint: 'acme/web/container-17', mac: '02:02:0a:01:01:05', ip: '10.1.1.5/24', tag: 10001 },
};

interface Server {
  readonly name: string;
  readonly port: number;
  stop(): void;
}

async function start(name: string, command: string, args: readonly string[]): Promise<Server> {
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.stdout === null) throw new Error('no output');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { name, port: Number(line.toString()), stop: () => void child.kill() };
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.setNoDelay(true);
  return socket;
}

function lines(chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) count += 1;
  return count;
}

const request = (id: number, method: string, params: unknown) =>
  `${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`;

/** Calls per second with `WINDOW` of them open at a time. */
async function calls(port: number, count: number): Promise<number> {
  const socket = await open(port);
  let sent = 0;
  let answered = 0;
  const send = (number: number) => {
    let text = '';
    for (let i = 0; i < number && sent < count; i++) text += request((sent += 1), 'bench.echo', params);
    if (text !== '') socket.write(text);
  };
  const begin = performance.now();
  send(WINDOW);
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      const number = lines(chunk);
      answered += number;
      if (answered >= count) resolve();
      else send(number);
    });
  });
  const seconds = (performance.now() - begin) / 1000;
  socket.destroy();
  return count / seconds;
}

/** Notifications delivered per second to `PEERS` connections. */
async function fanOut(port: number, count: number): Promise<number> {
  const sockets = await Promise.all(Array.from({ length: PEERS }, () => open(port)));
  // One answer on each: the server has accepted them all.
  const answers = sockets.map((socket) => once(socket, 'data'));
  for (const socket of sockets) socket.write(request(1, 'bench.echo', params));
  await Promise.all(answers);
  let delivered = 0;
  const begin = performance.now();
  const done = new Promise<void>((resolve) => {
    for (const socket of sockets) {
      socket.on('data', (chunk: Buffer) => {
        delivered += lines(chunk);
        if (delivered >= count * PEERS) resolve();
      });
    }
  });
  sockets[0]?.write(request(1, 'bench.fanOut', { count, perTurn: PER_TURN, news }));
  await done;
  const seconds = (performance.now() - begin) / 1000;
  for (const socket of sockets) socket.destroy();
  return (count * PEERS) / seconds;
}

/** Calls per second with both ends ours: what an agent in Node sees. */
async function peerCalls(port: number, count: number): Promise<number> {
  const Echo = new RequestType('bench.echo', EndpointAttach.params, EndpointAttach.params);
  const peer = new Peer(await open(port), { router: new Router() });
  let started = 0;
  const caller = async () => {
    while (started < count) {
      started += 1;
      await peer.call(Echo, params);
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: WINDOW }, caller));
  const seconds = (performance.now() - begin) / 1000;
  peer.close('done');
  return count / seconds;
}

export async function run({ rounds = 3 }: { readonly rounds?: number }): Promise<readonly Result[]> {
  const servers = {
    hub: await start('Weft hub', process.execPath, [join(directory, 'hub-servers.js'), 'hub']),
    bare: await start('bare echo on Node', process.execPath, [join(directory, 'hub-servers.js'), 'bare']),
    python: await start('asyncio (Python)', '/usr/bin/python3', [join(directory, '../../bench/hub_peer.py')]),
  };
  const counts = { hub: 40_000, bare: 40_000, python: 10_000 };
  const spread = { hub: 1_000, bare: 1_000, python: 500 };
  const kinds = ['hub', 'bare', 'python'] as const;
  const figures = {
    calls: { hub: [] as number[], bare: [] as number[], python: [] as number[] },
    fanOut: { hub: [] as number[], bare: [] as number[], python: [] as number[] },
    peers: [] as number[],
  };
  try {
    for (let round = 0; round < rounds; round++) {
      for (const kind of kinds) {
        figures.calls[kind].push(await calls(servers[kind].port, counts[kind]));
        figures.fanOut[kind].push(await fanOut(servers[kind].port, spread[kind]));
      }
      figures.peers.push(await peerCalls(servers.hub.port, counts.hub));
    }
  } finally {
    for (const server of Object.values(servers)) server.stop();
  }
  const faster = { better: 'higher' } as const;
  return (['python', 'bare'] as const).flatMap((other) => {
    const { name } = servers[other];
    const against = (
      what: string,
      unit: string,
      ours: readonly number[],
      theirs: readonly number[],
    ): Result => compare(what, unit, ours, name, theirs, faster);
    return [
      against('hub: calls on one connection', 'calls/s', figures.calls.hub, figures.calls[other]),
      against(`hub: fan-out to ${PEERS} peers`, 'messages/s', figures.fanOut.hub, figures.fanOut[other]),
      against('hub: calls, both ends ours', 'calls/s', figures.peers, figures.calls[other]),
    ];
  });
}
