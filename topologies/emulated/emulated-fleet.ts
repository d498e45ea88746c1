import type { EmulatedPort, EmulatedSwitchOptions } from './emulated-switch.js';
import { EmulatedSwitch } from './emulated-switch.js';
import type { EmulatedCounters } from './counters.js';
import { newCounters } from './counters.js';

export interface EmulatedFleetOptions extends Omit<EmulatedSwitchOptions, 'datapathId' | 'ports'> {
  readonly count: number;
  /** Datapath id of the first switch, the others follow. Default 1. */
  readonly firstDatapathId?: number | bigint;
  /** Ports of the switch at `index`, counted from 0. Default none. */
  readonly ports?: (index: number) => readonly EmulatedPort[];
  /** Connections under way at one time. Default 64. */
  readonly parallel?: number;
}

/** Many emulated switches in one process. */
export class EmulatedFleet {
  readonly switches: readonly EmulatedSwitch[];

  private constructor(switches: readonly EmulatedSwitch[]) {
    this.switches = switches;
  }

  /** Connects `count` switches; resolves when all sockets are open. */
  static async start(options: EmulatedFleetOptions): Promise<EmulatedFleet> {
    const { count, firstDatapathId = 1, ports, parallel = 64, ...common } = options;
    const switches = Array.from({ length: count }, (_, index) => {
      const datapathId = (BigInt(firstDatapathId) + BigInt(index)).toString(16).padStart(16, '0');
      return new EmulatedSwitch({ ...common, datapathId, ports: ports?.(index) ?? [] });
    });
    const waiting = [...switches].reverse();
    const worker = async (): Promise<void> => {
      for (let next = waiting.pop(); next; next = waiting.pop()) await next.connect();
    };
    await Promise.all(Array.from({ length: Math.min(parallel, count) }, worker));
    return new EmulatedFleet(switches);
  }

  /** Sum over all switches. */
  get counters(): EmulatedCounters {
    const sum = newCounters();
    for (const { counters } of this.switches) {
      for (const name of Object.keys(sum) as (keyof EmulatedCounters)[]) sum[name] += counters[name];
    }
    return sum;
  }

  async stop(): Promise<void> {
    await Promise.all(this.switches.map((emulated) => emulated.stop()));
  }
}
