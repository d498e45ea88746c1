/**
 * The log: JSON lines on standard output, one per event that matters, written by pino. Each component has its own level,
 * changeable while the process runs (configuration, SIGHUP, `PUT /v1/log`).
 */
import { type DestinationStream, type Logger, pino } from 'pino';
import type { LogLevel } from './config/schema.js';

export type { Logger };

export interface Log {
  /** The component's logger; lines carry `component`. The same one each time. */
  component(name: string): Logger;
  /** The level of everything, or of one component; `undefined` lets the component follow the level of everything. */
  setLevel(level: LogLevel | undefined, component?: string): void;
  levels(): { level: LogLevel; levels: Readonly<Record<string, LogLevel>> };
  flush(): void;
}

export interface LogOptions {
  readonly level?: LogLevel;
  readonly levels?: Readonly<Record<string, LogLevel>>;
  /** Standard output unless given. */
  readonly destination?: DestinationStream;
}

export function createLog({ level = 'info', levels = {}, destination }: LogOptions = {}): Log {
  const options = {
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  // The root writes everything; what a component lets through is decided by its own child.
  const root = destination === undefined ? pino(options) : pino(options, destination);
  root.level = 'trace';
  let general: LogLevel = level;
  const own = new Map<string, LogLevel>(Object.entries(levels));
  const components = new Map<string, Logger>();

  return {
    component(name) {
      let logger = components.get(name);
      if (logger === undefined) {
        logger = root.child({ component: name }, { level: own.get(name) ?? general });
        components.set(name, logger);
      }
      return logger;
    },
    setLevel(to, component) {
      if (component === undefined) {
        if (to !== undefined) general = to;
      } else if (to === undefined) {
        own.delete(component);
      } else {
        own.set(component, to);
      }
      for (const [name, logger] of components) logger.level = own.get(name) ?? general;
    },
    levels: () => ({ level: general, levels: Object.fromEntries(own) }),
    flush: () => root.flush(),
  };
}
