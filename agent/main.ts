/** The process `weft agent`: starts an agent, waits for a signal, ends it. */
import { pino } from 'pino';
import { startAgent } from './agent.js';
import { AgentError, messageOf } from './error.js';
import type { AgentOptions } from './options.js';

export interface AgentCommandOptions extends Omit<AgentOptions, 'logger'> {
  /** Level of the log on standard error (default info). */
  readonly logLevel?: string;
}

/** Exit codes of {@link runAgent}. */
export const AgentExit = { ok: 0, failed: 1, usage: 2 } as const;

/** Run until SIGTERM, SIGINT or `signal`; resolves with the exit code. A second signal ends the process at once. */
export async function runAgent(options: AgentCommandOptions, signal?: AbortSignal): Promise<number> {
  const { logLevel = 'info', ...agentOptions } = options;
  const logger = pino(
    { name: 'weft-agent', level: logLevel, base: { host: options.hostLabel } },
    pino.destination(2),
  );
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (stop.signal.aborted) process.exit(AgentExit.failed);
    logger.info({ event: 'agent.stopping', signal: name });
    stop.abort();
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  const onLevel = (): void => {
    logger.level = logger.level === 'debug' ? logLevel : 'debug';
    logger.info({ event: 'log.level', level: logger.level });
  };
  process.on('SIGUSR2', onLevel);
  signal?.addEventListener('abort', () => stop.abort(), { once: true });
  try {
    const agent = await startAgent({ ...agentOptions, logger }, stop.signal);
    logger.info({ event: 'agent.started', datapathId: agent.datapathId, bridge: options.bridge ?? 'br-int' });
    if (!stop.signal.aborted) {
      await new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }));
    }
    await agent.close();
    return AgentExit.ok;
  } catch (error) {
    if (stop.signal.aborted) return AgentExit.ok;
    const detail = error instanceof AgentError ? { code: error.code, path: error.path, fix: error.fix } : {};
    logger.fatal({ event: 'agent.failed', ...detail, reason: messageOf(error) });
    return error instanceof AgentError && error.code === 'agent.option.invalid'
      ? AgentExit.usage
      : AgentExit.failed;
  } finally {
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal).off('SIGUSR2', onLevel);
  }
}
