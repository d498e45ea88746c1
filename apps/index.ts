/** The apps, in the order in which they declare what they derive, and the pipeline their entries are for. */
import type { App } from '../controller/datapath/app.js';
import { antiSpoof } from './anti-spoof.js';
import { arp } from './arp.js';
import { bridge } from './bridge.js';
import { classify } from './classify.js';
import { conntrack } from './conntrack.js';
import { flood } from './flood.js';
import { multicast } from './multicast/index.js';
import { membership } from './multicast/membership.js';
import { names } from './names.js';
import { neighbourDiscovery } from './neighbour-discovery.js';
import { policy } from './policy/index.js';
import { qos } from './qos/index.js';
import { softSwitch } from './soft-switch/index.js';
import { vlan } from './vlan.js';
import { vxlan } from './vxlan.js';

export { pipeline } from './pipeline.js';

export const apps: readonly App[] = [
  classify,
  antiSpoof,
  arp,
  neighbourDiscovery,
  bridge,
  vlan,
  vxlan,
  policy,
  flood,
  conntrack,
  qos,
  membership,
  multicast,
  softSwitch,
  names,
];
