/**
 * Child processes of the lab: short commands that are awaited, and long-running ones that die with their parent.
 *
 * Every long-running child is started through `setpriv --pdeathsig KILL`, so that a lab whose owner is killed leaves no
 * daemon behind; what remains then (namespaces, links, files) is taken away by the reaper of the next lab.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** A command of the lab ended with another exit code than 0, or did not end in time. */
export class LabError extends Error {
  override readonly name = 'LabError';
  readonly code: string;
  readonly fix?: string;
  constructor(code: string, message: string, fix?: string) {
    super(message);
    this.code = code;
    if (fix !== undefined) this.fix = fix;
  }
}

export interface ExecResult {
  /** Exit code; 128 + signal number when a signal ended the command. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** After this time the command is killed (default 30 s). */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;

/** Run a command to its end; resolves whatever its exit code is. */
export function run(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const [command, ...args] = argv;
  if (command === undefined) throw new TypeError('run: an empty command');
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      resolve({ exitCode: code ?? (signal === 'SIGKILL' ? 137 : 143), stdout, stderr });
    });
    // A child that ends without reading its input is judged by its exit code, not by EPIPE.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input);
  });
}

/** Run a command to its end; rejects with `lab.command.failed` when its exit code is not 0. */
export async function exec(argv: readonly string[], options: ExecOptions = {}): Promise<string> {
  const result = await run(argv, options);
  if (result.exitCode !== 0) {
    const said = result.stderr.trim() || result.stdout.trim();
    throw new LabError('lab.command.failed', `${argv.join(' ')}: exit code ${result.exitCode}: ${said}`);
  }
  return result.stdout;
}

/** `ip -batch`: many changes in one process; the first failing line fails the call. */
export async function ipBatch(lines: readonly string[], namespace?: string): Promise<void> {
  const where = namespace === undefined ? [] : ['-n', namespace];
  await exec(['ip', ...where, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

export interface DaemonOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Standard output and error are appended to this file. */
  readonly logFile: string;
}

/** A long-running child of the lab. */
export class Daemon {
  readonly pid: number;
  readonly logFile: string;
  /** Settles with the exit code (or -1 for a signal) when the process has ended. */
  readonly exited: Promise<number>;
  private ended = false;

  private constructor(
    readonly name: string,
    private readonly child: ChildProcess,
    pid: number,
    logFile: string,
  ) {
    this.pid = pid;
    this.logFile = logFile;
    this.exited = new Promise((resolve) => {
      child.on('exit', (code) => {
        this.ended = true;
        resolve(code ?? -1);
      });
    });
  }

  static start(name: string, argv: readonly string[], options: DaemonOptions): Daemon {
    const log = openSync(options.logFile, 'a');
    try {
      const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], {
        stdio: ['ignore', log, log],
        env: { ...process.env, ...options.env },
      });
      if (child.pid === undefined)
        throw new LabError('lab.daemon.start', `${name}: setpriv could not be started`);
      return new Daemon(name, child, child.pid, options.logFile);
    } finally {
      closeSync(log);
    }
  }

  get running(): boolean {
    return !this.ended;
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.ended) this.child.kill(signal);
  }

  /** Ask the process to end, kill it when it has not ended in time; resolves when it is gone. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 5_000): Promise<number> {
    this.kill(signal);
    const timer = setTimeout(() => this.kill('SIGKILL'), graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Everything the process has written so far. */
  log(): string {
    return readFileSync(this.logFile, 'utf8');
  }
}

/** Poll `condition` until it gives a value other than undefined or false; rejects with `lab.timeout` naming `what`. */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let pauseMs = 5;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new LabError('lab.timeout', `waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    pauseMs = Math.min(pauseMs * 1.5, 100);
  }
}

/** Run `work` over `items`, at most `limit` at a time; results in the order of the items. */
export async function parallel<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      results[index] = await work(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}
