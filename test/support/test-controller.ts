/** A controller in the test's own process, on ephemeral ports and a `level` store in a folder. */
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { parseConfig } from '../../controller/config/load.js';
import { createLog } from '../../controller/log.js';
import { openController } from '../../controller/main/index.js';
import type { Controller } from '../../controller/main/index.js';
import { LevelStore } from '../../controller/store/level.js';
import { type Address, parseAddress } from '../../rpc/index.js';

/** A tenant and a network to begin with. */
export const intents = [
  { kind: 'Tenant', name: 'acme' },
  { kind: 'Network', tenant: 'acme', name: 'web', encapsulation: 'vxlan', subnet: '10.1.1.0/24' },
] as const;

export interface TestController {
  readonly controller: Controller;
  readonly openflow: Address;
  readonly hub: Address;
  /** Value of an unlabelled metric. */
  metric(name: string): number;
  stop(): Promise<void>;
}

/**
 * `listen`: addresses without port take a free one; the same ones again to restart in place. `settings`: a configuration file.
 */
export async function startController(
  folder: string,
  listen: { readonly openflow: string; readonly hub: string },
  settings = '',
): Promise<TestController> {
  const store = await LevelStore.open(join(folder, 'state'));
  const log = createLog({ destination: createWriteStream(join(folder, 'controller.log'), { flags: 'a' }) });
  const config = parseConfig(settings, { overrides: listen });
  const controller = await openController({ store, config, log, version: 'test' });
  const listeners = await controller.start();
  return {
    controller,
    openflow: parseAddress(listeners.openflow),
    hub: parseAddress(listeners.hub),
    metric: (name) => {
      const family = controller.metrics().find((one) => one.name === name);
      if (family === undefined) throw new Error(`no metric ${name}`);
      return family.samples[0]?.value ?? Number.NaN;
    },
    stop: async () => {
      await controller.stop();
      await store.close();
    },
  };
}
