/** What goes to many: distribution trees, multicast groups, and the limit of broadcast. Group membership is `membership.ts`. */
import type { App } from '../../controller/datapath/app.js';
import { declareBroadcastLimit } from './broadcast-limit.js';
import { declareTrees } from './distributions.js';
import { declareGroups } from './groups.js';

export const multicast: App = {
  name: 'multicast',
  id: 21,
  declare(d) {
    declareTrees(d);
    declareGroups(d);
    declareBroadcastLimit(d);
  },
};
