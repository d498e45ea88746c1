/** Flows in network cards that can take them: `other_config:hw-offload` of Open vSwitch (ovs-vswitchd.conf.db(5)). */
import * as ovsdb from '../ovsdb/index.js';
import type { BridgeSettings, BridgeState } from './driver.js';
import { OpenVSwitch } from './ovs-schema.js';

const KEY = 'hw-offload';

export class OvsOffload {
  #changed = false;

  constructor(private readonly client: ovsdb.OvsdbClient) {}

  /** What makes the configuration as wanted; it is of the whole Open vSwitch, whosever bridges there are. */
  operations({ hwOffload }: Pick<BridgeSettings, 'hwOffload'>): readonly ovsdb.Operation[] {
    const [found] = this.client.rows(OpenVSwitch);
    if (hwOffload === undefined || found === undefined) return [];
    const [uuid, { other_config: before }] = found;
    if ((before.get(KEY) === 'true') === hwOffload) return [];
    this.#changed = true;
    return [ovsdb.update(OpenVSwitch, uuid, { other_config: new Map(before).set(KEY, `${hwOffload}`) })];
  }

  /** As sentences for people. */
  problems(
    { hwOffload }: Pick<BridgeSettings, 'hwOffload'>,
    datapathType: BridgeState['datapathType'],
  ): readonly string[] {
    const sentences: string[] = [];
    if (this.#changed) {
      const state = hwOffload === true ? 'on' : 'off';
      sentences.push(
        `hw-offload was switched ${state} by this agent: it takes effect when ovs-vswitchd is restarted, which nobody does by itself`,
      );
    }
    if (hwOffload === true && datapathType === 'netdev') {
      sentences.push(
        'hw-offload does nothing on the userspace datapath without DPDK: flows stay in software',
      );
    }
    return sentences;
  }
}
