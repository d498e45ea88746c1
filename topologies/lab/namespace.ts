/**
 * One network namespace of a lab: commands inside it, pings, captures, raw frames.
 *
 * Commands enter with `nsenter --net` and not with `ip netns exec`: the latter also makes a mount namespace per command, which
 * costs more than most of the commands themselves.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parsePcap, type CapturedFrame } from './pcap.js';
import { Daemon, exec, LabError, run, until, type ExecOptions, type ExecResult } from './process.js';

export interface PingOptions {
  /** Requests to send (default 1). */
  readonly count?: number;
  /** Time to wait for the reply to each request (default 1,000 ms). */
  readonly timeoutMs?: number;
  /** Time between requests (default 200 ms). */
  readonly intervalMs?: number;
  /** Bytes of ICMP payload; with `dontFragment` it measures a path MTU (IPv4: payload + 28). */
  readonly payload?: number;
  readonly dontFragment?: boolean;
  /** Up to 16 bytes, in hexadecimal, repeated to fill the payload: tells a request from others in a capture. */
  readonly pattern?: string;
}

export interface PingResult {
  readonly ok: boolean;
  readonly sent: number;
  readonly received: number;
  readonly output: string;
}

/** A running tcpdump. Frames sent before {@link LabNamespace.capture} resolved are not in it. */
export class Capture {
  constructor(
    private readonly daemon: Daemon,
    private readonly file: string,
  ) {}

  /** Frames that reached the file so far. */
  frames(): readonly CapturedFrame[] {
    return parsePcap(readFileSync(this.file));
  }

  /** Stop capturing and give all frames; the file is removed. */
  async stop(): Promise<readonly CapturedFrame[]> {
    await this.daemon.stop('SIGINT');
    const frames = this.frames();
    rmSync(this.file);
    rmSync(this.daemon.logFile, { force: true });
    return frames;
  }
}

const RAW_SENDER = `
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for line in sys.stdin:
    s.send(bytes.fromhex(line))
`;

let captures = 0;

export class LabNamespace {
  /** Path of the namespace, for whoever moves interfaces into it. */
  readonly path: string;
  private readonly enter: readonly string[];

  constructor(
    /** Name within the lab ('h1'). */
    readonly name: string,
    /** Name as `ip netns` knows it. */
    readonly fullName: string,
    /** Where captures and logs of this namespace go. */
    readonly directory: string,
    private readonly adopt: (daemon: Daemon) => void,
  ) {
    this.path = `/run/netns/${fullName}`;
    this.enter = ['nsenter', `--net=${this.path}`, '--'];
  }

  /** Run a command inside; rejects when its exit code is not 0. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<string> {
    return exec([...this.enter, ...argv], options);
  }

  /** Run a command inside; resolves with its exit code. */
  run(argv: readonly string[], options?: ExecOptions): Promise<ExecResult> {
    return run([...this.enter, ...argv], options);
  }

  /** Start a long-running command inside; it ends with the lab at the latest. */
  spawn(name: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}): Daemon {
    const daemon = Daemon.start(`${this.name}/${name}`, [...this.enter, ...argv], {
      logFile: join(this.directory, `${this.name}-${name}.log`),
      env,
    });
    this.adopt(daemon);
    return daemon;
  }

  /** `ip -batch` inside. */
  async ip(...lines: string[]): Promise<void> {
    await this.exec(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  async ping(address: string, options: PingOptions = {}): Promise<PingResult> {
    const { count = 1, timeoutMs = 1_000, intervalMs = 200 } = options;
    const argv = ['ping', '-n', '-c', `${count}`, '-W', `${timeoutMs / 1000}`, '-i', `${intervalMs / 1000}`];
    if (options.payload !== undefined) argv.push('-s', `${options.payload}`);
    if (options.pattern !== undefined) argv.push('-p', options.pattern);
    if (options.dontFragment) argv.push('-M', 'do');
    const result = await this.run([...argv, address], {
      timeoutMs: count * (timeoutMs + intervalMs) + 10_000,
    });
    return pingResult(result);
  }

  /** Capture frames on an interface (both directions; the first 4,096 bytes of each), resolved once tcpdump listens. `filter` is a pcap filter. */
  async capture(interfaceName: string, filter = ''): Promise<Capture> {
    const name = `capture-${interfaceName}-${++captures}`;
    const file = join(this.directory, `${this.name}-${name}.pcap`);
    // In immediate mode the kernel's ring has a slot of the snapshot length for each frame: with the defaults eight, and a burst is lost.
    const ring = ['-s', '4096', '-B', '16384'];
    const argv = [
      'tcpdump',
      '-Z',
      'root',
      '-U',
      '--immediate-mode',
      ...ring,
      '-i',
      interfaceName,
      '-w',
      file,
    ];
    const daemon = this.spawn(name, filter === '' ? argv : [...argv, filter]);
    await until(`tcpdump on ${this.name}/${interfaceName}`, () => {
      const log = daemon.log();
      if (!daemon.running) throw new LabError('lab.capture.failed', `tcpdump in ${this.name}: ${log}`);
      return log.includes('listening on');
    });
    return new Capture(daemon, file);
  }

  /** Send whole Ethernet frames (14 bytes of header, no frame check sequence) as they are, forged or not. */
  async send(interfaceName: string, frames: readonly Uint8Array[]): Promise<void> {
    const input = frames.map((frame) => `${Buffer.from(frame).toString('hex')}\n`).join('');
    await this.exec(['/usr/bin/python3', '-c', RAW_SENDER, interfaceName], { input });
  }
}

function pingResult(result: ExecResult): PingResult {
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(result.stdout);
  const sent = Number(counts?.[1] ?? 0);
  const received = Number(counts?.[2] ?? 0);
  return { ok: sent > 0 && received >= sent, sent, received, output: result.stdout + result.stderr };
}
