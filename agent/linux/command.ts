/** Running `ip`, `ethtool` and `nsenter`. No shell: arguments are passed as they are. */
import { execFile } from 'node:child_process';
import { AgentError } from '../error.js';

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const TIMEOUT_MS = 10_000;
/**
 * Commands at a time; others wait. Starting a process stops the event loop for milliseconds: hundreds in a row would let the heartbeat
 * miss its time.
 */
const AT_ONCE = 4;
let running = 0;
const waiting: (() => void)[] = [];

async function enter(): Promise<void> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
}

/** Hands the place to the next in line, if there is one. */
function leave(): void {
  const next = waiting.shift();
  if (next === undefined) running -= 1;
  else setImmediate(next);
}

/** Resolves whatever the exit code; rejects when the command does not exist or does not end in time. */
export async function runCommand(argv: readonly string[], input?: string): Promise<CommandResult> {
  await enter();
  try {
    return await start(argv, input);
  } finally {
    leave();
  }
}

function start(argv: readonly string[], input: string | undefined): Promise<CommandResult> {
  const [command = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      { timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: 16 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const exitCode = error === null ? 0 : error.code;
        if (typeof exitCode === 'number') resolve({ exitCode, stdout, stderr });
        else {
          const why = error?.killed === true ? `did not end in ${TIMEOUT_MS} ms` : `${error?.message}`;
          reject(new AgentError('agent.command.failed', `${argv.join(' ')}: ${why}`, { cause: error }));
        }
      },
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

/** Rejects with `agent.command.failed` and what the command wrote when its exit code is not 0. */
export async function command(argv: readonly string[], input?: string): Promise<string> {
  const result = await runCommand(argv, input);
  if (result.exitCode === 0) return result.stdout;
  const said = (result.stderr.trim() || result.stdout.trim()).split('\n')[0] ?? '';
  throw new AgentError('agent.command.failed', `${argv.join(' ')}: ${said}`);
}
