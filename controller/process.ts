/**
 * The controller as a process: configuration, log, store, controller, HTTP API, and signals. SIGTERM and SIGINT drain and
 * end it (a second one at once), SIGHUP reloads the configuration.
 */
import { type Api, createApi } from './api/server.js';
import { openWaitingRoom } from './api/waiting.js';
import { isLoopback, parseListenAddress } from './config/address.js';
import { applyLive, configChanges } from './config/changes.js';
import { ConfigError, type ConfigOverrides, defaultDataDirectory, loadConfig } from './config/load.js';
import type { Config } from './config/schema.js';
import { createLog, type Log, type Logger } from './log.js';
import { textDestination } from './log-text.js';
import { clusterAccess } from './main/kubernetes.js';
import { openController } from './main/open.js';
import type { Controller } from './main/types.js';
import { createMetrics } from './metrics.js';
import { openStore, type OpenStore } from './open-store.js';

export interface ControllerProcessOptions {
  readonly configFile?: string | undefined;
  readonly overrides: ConfigOverrides;
  /** `json` for machines, `text` for people. Default: text on a terminal, JSON elsewhere. */
  readonly logFormat?: 'json' | 'text' | undefined;
  readonly version: string;
}

/** Running agent calls and transactions are given this long at the end. */
const DRAIN_MS = 5_000;
/** After this long without an answer of the store, HTTP says what is being waited for. */
const STORE_PATIENCE_MS = 500;

/**
 * Runs until a signal ends it; resolves when everything is closed.
 * @throws ConfigError, AccessError, StoreError and the system's errors of listening, when it cannot start
 */
export async function runController(options: ControllerProcessOptions): Promise<void> {
  const config = await loadConfig(options.configFile, options.overrides);
  const text = (options.logFormat ?? (process.stdout.isTTY ? 'text' : 'json')) === 'text';
  const log = createLog({ ...config.log, ...(text ? { destination: textDestination(process.stdout) } : {}) });
  const logger = log.component('main');
  const ending = onSignals(logger);
  const running = await start(config, options, log, logger, ending.signal);
  if (running === undefined) return; // told to end while waiting for the store

  const reloads = serialize(async () => await reload(options, running, log, logger));
  process.on('SIGHUP', reloads);
  await ending.requested;
  process.off('SIGHUP', reloads);
  logger.info({ event: 'controller.stopping' }, 'draining');
  await running.api.close();
  await running.controller.stop(DRAIN_MS);
  await running.store.close();
  logger.info({ event: 'controller.stopped' }, 'stopped');
  log.flush();
}

interface Running {
  config: Config;
  readonly controller: Controller;
  readonly api: Api;
  readonly store: OpenStore;
}

async function start(
  config: Config,
  { version, configFile }: ControllerProcessOptions,
  log: Log,
  logger: Logger,
  signal: AbortSignal,
): Promise<Running | undefined> {
  const data = config.data ?? defaultDataDirectory();
  logger.info(
    {
      event: 'controller.starting',
      version,
      node: process.version,
      data,
      store: config.store.driver,
      config: configFile,
    },
    'starting',
  );
  const cluster = await clusterAccess(config.kubernetes);
  const store = await openStore(config.store, data);
  /** What a start that fails has to close again, last first: an open socket would keep the process. */
  const opened = [() => store.close()];
  try {
    const controller = await waitForStore(
      openController({ store: store.store, config, cluster, log, version }),
      {
        config,
        store,
        logger,
        signal,
      },
    );
    if (controller === undefined) {
      await store.close();
      return undefined;
    }
    opened.unshift(() => controller.stop(0));
    const api = await createApi({ backend: controller, config: config.http, log, metrics: createMetrics() });
    opened.unshift(() => api.close());
    const http = await api.listen();
    const { openflow, hub } = await controller.start();
    warnOfExposure({ openflow, hub }, logger);
    logger.info({ event: 'controller.ready', openflow, hub, http }, 'ready');
    return { config, controller, api, store };
  } catch (error) {
    for (const close of opened) await close();
    throw error;
  }
}

/** Answers health checks while the store keeps the controller waiting; undefined when told to end meanwhile. */
async function waitForStore<T>(
  opening: Promise<T>,
  {
    config,
    store,
    logger,
    signal,
  }: { config: Config; store: OpenStore; logger: Logger; signal: AbortSignal },
): Promise<T | undefined> {
  const aborted = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const patience = new Promise<'waiting'>((resolve) =>
    setTimeout(resolve, STORE_PATIENCE_MS, 'waiting').unref(),
  );
  const first = await Promise.race([opening.then((value) => ({ value })), aborted, patience]);
  if (first === undefined) return undefined;
  if (first !== 'waiting') return first.value;
  const reason = (): string => `waiting for the store: ${store.description} (${store.store.state})`;
  logger.warn({ event: 'store.waiting', store: store.description }, reason());
  const waitingRoom = await openWaitingRoom(config.http, reason);
  try {
    return await Promise.race([opening, aborted]);
  } finally {
    await waitingRoom.close();
  }
}

const RISKS = {
  openflow: 'whoever reaches it can pose as a switch',
  hub: 'whoever reaches it can pose as an agent and attach endpoints',
} as const;

/** HTTP tells of itself, see api/server.ts. */
function warnOfExposure(listeners: Readonly<Record<keyof typeof RISKS, string>>, logger: Logger): void {
  for (const [listener, risk] of Object.entries(RISKS) as [keyof typeof RISKS, string][]) {
    const address = listeners[listener];
    const parsed = parseListenAddress(address);
    if (parsed === undefined || isLoopback(parsed.host)) continue;
    logger.warn(
      { event: `${listener}.exposed`, address },
      `${listener} listens on ${address} without TLS: ${risk}; keep it on a network that only hosts of the cluster reach`,
    );
  }
}

async function reload(
  { configFile, overrides }: ControllerProcessOptions,
  running: Running,
  log: Log,
  logger: Logger,
): Promise<void> {
  let wanted: Config;
  try {
    wanted = await loadConfig(configFile, overrides);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.problems.map(({ path, line, message, fix }) => ({ path, line, message, fix }));
    logger.error(
      { event: 'config.refused', file: configFile, problems },
      'configuration not reloaded, all stays as it was',
    );
    return;
  }
  const changes = configChanges(running.config, wanted);
  running.config = applyLive(running.config, wanted);
  log.setLevel(running.config.log.level);
  for (const component of new Set([
    ...Object.keys(log.levels().levels),
    ...Object.keys(running.config.log.levels),
  ])) {
    log.setLevel(running.config.log.levels[component], component);
  }
  running.api.reconfigure(running.config.http);
  const paths = (reload: 'live' | 'restart'): string[] =>
    changes.filter((change) => change.reload === reload).map(({ path }) => path);
  const needRestart = paths('restart');
  const line = { event: 'config.reloaded', changed: paths('live'), needRestart };
  if (needRestart.length > 0) logger.warn(line, 'configuration reloaded; some of it waits for a restart');
  else logger.info(line, 'configuration reloaded');
}

function onSignals(logger: Logger): { requested: Promise<void>; signal: AbortSignal } {
  const ending = new AbortController();
  const requested = new Promise<void>((resolve) => {
    const end = (name: NodeJS.Signals): void => {
      if (ending.signal.aborted) {
        logger.warn({ event: 'controller.killed', signal: name }, 'ended at once by a second signal');
        process.exit(name === 'SIGINT' ? 130 : 143);
      }
      logger.info({ event: 'controller.signal', signal: name }, `${name} received`);
      ending.abort();
      resolve();
    };
    process.on('SIGTERM', end);
    process.on('SIGINT', end);
  });
  return { requested, signal: ending.signal };
}

/** One run at a time, the next one after it; signals that arrive meanwhile share it. */
function serialize(work: () => Promise<void>): () => void {
  let running: Promise<void> | undefined;
  let again = false;
  const run = (): void => {
    if (running !== undefined) {
      again = true;
      return;
    }
    running = work().finally(() => {
      running = undefined;
      if (again) {
        again = false;
        run();
      }
    });
  };
  return run;
}
