import { PortConfig, type PortDescription, PortReason, PortState } from '../../ofproto/index.js';
import type { PortStatus } from '../../ofproto/index.js';
import type { SwitchSession } from '../channel/index.js';
import type { DatapathId } from '../model/facts.js';
import type { FactInputs } from '../datapath/index.js';

/**
 * Port facts, from what switches say of their ports. The ports of a switch that is away stay, as long as a host claims it: what
 * was true when it left is the best guess of what it forwards to.
 */
export class PortFacts {
  /** By datapath: numbers of its ports by name, as written; an input shows a write only after the next settlement. */
  readonly #ports = new Map<DatapathId, Map<string, number>>();
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(
    private readonly facts: Pick<FactInputs, 'ports'>,
    private readonly onChange: () => void,
  ) {}

  /** A switch is up: its ports are exactly these. */
  up({ datapathId, ports }: SwitchSession): void {
    const before = this.#ports.get(datapathId);
    const now = new Map<string, number>();
    this.#ports.set(datapathId, now);
    for (const port of ports.values()) this.#set(datapathId, now, port);
    for (const name of before?.keys() ?? []) {
      if (!now.has(name)) this.facts.ports.delete(`${datapathId}/${name}`);
    }
    this.onChange();
  }

  /** Nobody's switch is gone. */
  forget(datapathId: DatapathId): void {
    for (const name of this.#ports.get(datapathId)?.keys() ?? []) {
      this.facts.ports.delete(`${datapathId}/${name}`);
    }
    if (this.#ports.delete(datapathId)) this.onChange();
  }

  changed({ datapathId }: SwitchSession, { reason, port }: PortStatus): void {
    const ports = this.#ports.get(datapathId);
    if (ports === undefined) return;
    if (reason !== PortReason.DELETE) {
      this.#set(datapathId, ports, port);
    } else if (ports.get(port.name) === port.portNo) {
      // Else the name has another number already: the deletion is of the port before.
      ports.delete(port.name);
      this.facts.ports.delete(`${datapathId}/${port.name}`);
    }
    this.onChange();
  }

  /** Resolves when the switch has the port; rejects when the signal aborts. */
  wait(datapathId: DatapathId, name: string, signal: AbortSignal): Promise<void> {
    const key = `${datapathId}/${name}`;
    if (this.#ports.get(datapathId)?.has(name) === true) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, waiting);
      const finish = () => {
        waiting.delete(arrived);
        if (waiting.size === 0) this.#waiting.delete(key);
        signal.removeEventListener('abort', onAbort);
      };
      const arrived = () => {
        finish();
        resolve();
      };
      const onAbort = () => {
        finish();
        reject(signal.reason as Error);
      };
      waiting.add(arrived);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }

  #set(datapathId: DatapathId, ports: Map<string, number>, { portNo, name, config, state }: PortDescription) {
    ports.set(name, portNo);
    const up = (config & PortConfig.PORT_DOWN) === 0 && (state & PortState.LINK_DOWN) === 0;
    this.facts.ports.set(`${datapathId}/${name}`, { datapathId, name, number: portNo, up });
    for (const arrived of this.#waiting.get(`${datapathId}/${name}`) ?? []) arrived();
  }
}
