/** What happens to switches and agents, as log lines and as events for `/v1/watch`. */
import type { ControllerEvent } from '../api/backend.js';
import type { DatapathEvent } from '../datapath/index.js';
import type { FabricEvent } from '../fabric/types.js';
import type { HubEvent } from '../hub/index.js';
import type { Logger } from '../log.js';

type Level = 'debug' | 'info' | 'warn' | 'error';

interface Told {
  readonly level: Level;
  readonly text: string;
  readonly event: ControllerEvent;
}

export function tellHubEvent(event: HubEvent): Told {
  const told = (level: Level, text: string): Told => ({ level, text, event: { ...event } });
  switch (event.event) {
    case 'host.up':
      return told('info', `agent of host ${event.host} registered from ${event.remoteAddress}`);
    case 'host.disconnected':
      return told('info', `agent of host ${event.host} disconnected: ${event.reason}`);
    case 'host.down':
      return told('warn', `host ${event.host} is down: ${event.reason}; its entries stay`);
    case 'host.refused':
      return told('warn', `an agent for host ${event.host} was refused: ${event.reason}`);
    case 'host.unresponsive':
      return told('warn', `agent of host ${event.host} did not answer ${event.method}: ${event.reason}`);
  }
}

export function tellDatapathEvent(event: DatapathEvent): Told {
  switch (event.kind) {
    case 'state': {
      const { datapathId, state } = event;
      const text = `datapath ${datapathId} is ${state}`;
      return { level: 'debug', text, event: { event: `datapath.${state}`, datapathId } };
    }
    case 'synced': {
      const { kind, datapathId, ...detail } = event;
      const text = `datapath ${datapathId} read and brought into line in ${Math.round(detail.milliseconds)} ms`;
      return { level: 'info', text, event: { event: `datapath.${kind}`, datapathId, ...detail } };
    }
    case 'healed': {
      const { kind, datapathId, ...detail } = event;
      const text = `datapath ${datapathId} differed from what it should hold and is being put right`;
      return { level: 'warn', text, event: { event: `datapath.${kind}`, datapathId, ...detail } };
    }
    case 'refused': {
      const { datapathId, refused } = event;
      const text = `datapath ${datapathId} refused an entry of ${refused.owner}: ${refused.error}`;
      return { level: 'warn', text, event: { event: 'datapath.refused', datapathId, ...refused } };
    }
    case 'problem':
    case 'solved': {
      const { kind, datapathId, problem } = event;
      const solved = kind === 'solved';
      const text = solved ? `no longer: ${problem.message}` : `${problem.message}; ${problem.fix}`;
      const told = { event: `datapath.${kind}`, datapathId, ...problem };
      return { level: solved ? 'info' : 'warn', text, event: told };
    }
    case 'trouble': {
      const { datapathId, error } = event;
      const text = `datapath ${datapathId} could not be read or written and is tried again: ${error.message}`;
      const told = { event: 'datapath.trouble', datapathId, error: error.message };
      return { level: 'warn', text, event: told };
    }
    case 'conflict': {
      const { conflict } = event;
      const text = `two apps ask for different entries under one key: ${conflict.key}`;
      return { level: 'error', text, event: { event: 'apps.conflict', ...conflict } };
    }
    case 'failure': {
      const { derivation, key, error } = event.failure;
      const message = error instanceof Error ? error.message : String(error);
      const text = `derivation ${derivation} failed for ${key} and keeps what it gave before: ${message}`;
      return { level: 'error', text, event: { event: 'apps.failure', derivation, key, error: message } };
    }
  }
}

export function tellFabricEvent(event: FabricEvent): Told {
  const { kind, ...detail } = event;
  const told = { event: `fabric.${kind}`, ...detail };
  switch (event.kind) {
    case 'link.up':
    case 'link.down': {
      const { from, to } = event.link;
      const ends = [from, to].map(({ datapathId, port }) => `port ${port} of ${datapathId}`);
      const state = event.kind === 'link.up' ? 'is up' : 'is gone';
      return { level: 'info', text: `the link from ${ends.join(' to ')} ${state}`, event: told };
    }
    case 'port.role': {
      const { datapathId, port, role, reason } = event;
      return { level: 'debug', text: `port ${port} of ${datapathId} is ${role}: ${reason}`, event: told };
    }
    case 'station.limit':
    case 'station.flapping':
      return { level: 'warn', text: event.message, event: told };
  }
}

/** Writes the line and returns the event. */
export function log(logger: Logger, { level, text, event }: Told): ControllerEvent {
  logger[level](event, text);
  return event;
}
