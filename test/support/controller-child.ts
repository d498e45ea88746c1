/** A controller in a process of its own, that lives until it is killed: `fork(this, [FOLDER, LISTEN])`. */
import { formatAddress } from '../../rpc/index.js';
import { intents, startController } from './test-controller.js';

const [folder = '', listen = '{}'] = process.argv.slice(2);
const running = await startController(folder, JSON.parse(listen) as { openflow: string; hub: string });
if (running.controller.model.get('Tenant', 'acme') === undefined) {
  await running.controller.model.apply(intents, { mode: 'add' });
}
process.send?.({ hub: formatAddress(running.hub), openflow: formatAddress(running.openflow) });
