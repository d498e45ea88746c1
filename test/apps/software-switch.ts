/**
 * Desired entries executed in this process by the executor of `weft trace`, so that what becomes of thousands of packets can be asked
 * without Open vSwitch. test/system asks Open vSwitch the same questions, fewer of them.
 */
import type { DesiredEntry, DesiredFlow } from '../../controller/datapath/entry.js';
import { asNew } from '../../controller/trace/connection.js';
import { execute, type Track } from '../../controller/trace/execute.js';
import type { Packet } from '../../controller/trace/packet.js';
import { type Lookup, stepsOf } from '../../controller/trace/steps.js';
import { WholeSwitch } from '../../controller/trace/tables.js';

export type { Packet };

export interface Output {
  readonly port: number;
  readonly packet: Packet;
}

export interface Execution {
  readonly outputs: readonly Output[];
  /** Entries met, for those who ask why. */
  readonly trace: readonly DesiredFlow[];
  /** All there is to say. */
  readonly steps: Lookup<DesiredFlow>;
}

export class SoftwareSwitch {
  readonly #switch: WholeSwitch<DesiredFlow>;

  constructor(entries: Iterable<DesiredEntry>) {
    const all = [...entries];
    this.#switch = new WholeSwitch(
      all.filter((entry) => entry.kind === 'flow'),
      ({ table }) => table,
      all.filter((entry) => entry.kind === 'group'),
    );
  }

  /**
   * What leaves the switch when a packet with these fields comes in by a port, in order.
   * @throws Error where the apps use what the executor does not follow
   */
  execute(inPort: number, fields: Packet, track: Track = asNew): Execution {
    const steps = execute(this.#switch, new Map(fields).set('in_port', BigInt(inPort)), track);
    const [unknown] = stepsOf(steps, 'unknown');
    if (unknown !== undefined) throw new Error(`the executor cannot tell: ${unknown.what}`);
    return {
      outputs: stepsOf(steps, 'output'),
      trace: stepsOf(steps, 'lookup').flatMap(({ entry }) => entry ?? []),
      steps,
    };
  }
}
