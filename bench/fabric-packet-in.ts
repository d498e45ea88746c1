/**
 * Packet-in to packet-out: `weft controller` with its fabric app against ovs-testcontroller, the learning switch that comes with Open
 * vSwitch, in turn with the same 16 emulated switches in OpenFlow 1.3 (packet-in-switches.ts), the pipe full.
 *
 * Between known stations: their frames come to the controller all the same, as from a switch that does not have its entries yet. From new
 * stations: each frame is the first of its station, which is learned; Weft derives its entries and sends them to all switches, so that none
 * of them will ask, the peer sends one to the switch that asked.
 *
 * One packet at a time, the peer is a loop in Node that answers without looking (echo-controller.ts): what is above its time is what
 * decoding, deciding and encoding take.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../test/support/wait-for.js';
import { Daemon, run as execute } from '../topologies/lab/process.js';
import { compare, inTurn, type Result } from './harness.js';
import type { PacketInRun } from './packet-in-switches.js';
import { WeftProcess } from './weft-process.js';

const SWITCHES = 16;
const MILLISECONDS = 3_000;
/** In each round; all rounds together stay below what the fabric learns at one port (1,024 of each of four ports of a switch). */
const NEW_STATIONS = 8_000;
const PEER = 'ovs-testcontroller';
/** More than any of them reaches. */
const UNLIMITED = 1_000_000;

/** The switches, in a process of their own. */
class Switches {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: Interface) {
    this.#child = child;
    this.#answers = lines[Symbol.asyncIterator]();
  }

  static async start(port: number, format: string): Promise<Switches> {
    const main = fileURLToPath(new URL('./packet-in-switches.js', import.meta.url));
    const child = spawn(process.execPath, [main, '127.0.0.1', `${port}`, `${SWITCHES}`, format], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const switches = new Switches(child, createInterface({ input: child.stdout }));
    await switches.#answer();
    await switches.command({ command: 'learn' });
    return switches;
  }

  async command(command: object): Promise<PacketInRun> {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
    return JSON.parse(await this.#answer()) as PacketInRun;
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await gone;
  }

  async #answer(): Promise<string> {
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error('the switches ended');
    return value;
  }
}

/** A free port, for a program that cannot choose one itself. */
async function freePort(): Promise<number> {
  const server = createServer().listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

interface Contender {
  readonly switches: Switches;
  readonly stop: () => Promise<void>;
}

async function startWeft(): Promise<Contender> {
  const weft = await WeftProcess.start('127.0.0.1', [], UNLIMITED);
  const switches = await Switches.start(weft.openflow.port, 'nx_packet_in2');
  return {
    switches,
    stop: async () => {
      await switches.stop();
      await weft.stop();
    },
  };
}

async function startPeer(options: readonly string[]): Promise<Contender> {
  const directory = await mkdtemp(join(tmpdir(), `weft-bench-${process.pid}-`));
  const port = await freePort();
  const files = [`--unixctl=${join(directory, 'control')}`, `--log-file=${join(directory, 'log')}`];
  const where = ['--protocols=OpenFlow13', `ptcp:${port}:127.0.0.1`];
  const daemon = Daemon.start(PEER, [PEER, ...options, ...files, ...where], {
    logFile: join(directory, 'output'),
  });
  await waitFor(`${PEER}, listening`, () => daemon.running && canConnect(port));
  const switches = await Switches.start(port, 'packet_in');
  return {
    switches,
    stop: async () => {
      await switches.stop();
      await daemon.stop('SIGTERM');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Answers everything, so there is nothing to learn. */
async function startEcho(): Promise<Contender> {
  const main = fileURLToPath(new URL('./echo-controller.js', import.meta.url));
  const child = spawn(process.execPath, [main], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const switches = await Switches.start(Number(line), 'nx_packet_in2');
  return {
    switches,
    stop: async () => {
      await switches.stop();
      const gone = once(child, 'exit');
      child.stdin.end();
      await gone;
    },
  };
}

function canConnect(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  return new Promise((resolve) => {
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Packet-outs per second. */
async function known({ switches }: Contender): Promise<number> {
  const run = await switches.command({ command: 'known', milliseconds: MILLISECONDS });
  return (1_000 * run.packetOuts) / run.milliseconds;
}

/** Microseconds from a packet-in to its packet-out, the only one under way. */
async function alone({ switches }: Contender): Promise<number> {
  const run = await switches.command({ command: 'single', milliseconds: MILLISECONDS / 3 });
  return (1_000 * run.milliseconds) / run.packetOuts;
}

async function learnt({ switches }: Contender): Promise<number> {
  const run = await switches.command({ command: 'new', stations: NEW_STATIONS });
  if (run.packetOuts < run.packetIns) throw new Error(`${run.packetIns} packets, ${run.packetOuts} answers`);
  return (1_000 * run.packetOuts) / run.milliseconds;
}

export async function run({ rounds = 5 }: { readonly rounds?: number }): Promise<readonly Result[]> {
  if ((await execute(['which', PEER])).exitCode !== 0)
    throw new Error(`${PEER} is not installed: apt-get install openvswitch-testcontroller`);
  const contenders: Contender[] = [];
  const started = async (starting: Promise<Contender>): Promise<Contender> => {
    const contender = await starting;
    contenders.push(contender);
    return contender;
  };
  try {
    const weft = await started(startWeft());
    // Neither side sends entries for stations that it knows.
    const answering = await started(startPeer(['--noflow']));
    const between = await inTurn(rounds, { weft: () => known(weft), peer: () => known(answering) });
    const echo = await started(startEcho());
    const single = await inTurn(rounds, { weft: () => alone(weft), peer: () => alone(echo) });
    const learning = await started(startPeer([]));
    const first = await inTurn(Math.min(rounds, 6), {
      weft: () => learnt(weft),
      peer: () => learnt(learning),
    });
    return [
      compare(
        `packet-ins between known stations, ${SWITCHES} switches`,
        '/s',
        between.weft,
        PEER,
        between.peer,
        {
          better: 'higher',
          target: 5,
        },
      ),
      compare(
        'packet-in to packet-out, one at a time',
        'us',
        single.weft,
        'a Node loop that echoes',
        single.peer,
        {
          better: 'lower',
          target: 1.3,
        },
      ),
      compare(`packet-ins of new stations, ${SWITCHES} switches`, '/s', first.weft, PEER, first.peer, {
        better: 'higher',
      }),
    ];
  } finally {
    for (const contender of contenders) await contender.stop();
  }
}
