/**
 * The queues of this host's uplinks, as the controller told last. They are remembered, so that an agent and a switch that come back while
 * the controller is away have them.
 */
import { isDeepStrictEqual } from 'node:util';
import type { HostQueue } from '../rpc/index.js';
import type { BridgeState, QueueSettings, SwitchDriver } from './drivers/driver.js';
import { messageOf } from './error.js';
import type { Logger } from './logger.js';
import type { StateFile } from './state-file.js';

export interface HostQueuesOptions {
  readonly driver: SwitchDriver;
  readonly state: StateFile;
  readonly settings: Omit<QueueSettings, 'queues' | 'datapathType'>;
  readonly logger: Logger;
  /** The queues are others now. */
  onChange(): void;
}

export class HostQueues {
  /** What works less than wanted, as sentences for people. */
  problems: readonly string[] = [];

  constructor(private readonly options: HostQueuesOptions) {}

  /** The whole truth, from the controller. */
  async set(queues: readonly HostQueue[]): Promise<void> {
    const { state, onChange } = this.options;
    if (isDeepStrictEqual(state.current.queues, queues)) return;
    await state.update({ queues });
    onChange();
  }

  /** Never rejects: an uplink without queues works. */
  async reconcile({ datapathType }: BridgeState): Promise<void> {
    const { driver, state, settings, logger } = this.options;
    const before = this.problems.join();
    try {
      const { queues } = state.current;
      this.problems = await driver.ensureQueues({ ...settings, datapathType, queues });
    } catch (error) {
      this.problems = [`the queues of the uplinks could not be made: ${messageOf(error)}`];
    }
    if (this.problems.join() === before) return;
    for (const problem of this.problems) logger.warn({ event: 'queues.problem', problem });
  }
}
