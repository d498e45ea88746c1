/**
 * Tables of hosts whose switch speaks no OpenFlow. The same facts as for the others, as rows that an agent turns into what its kernel
 * has: forwarding entries, replication lists, sets and rules of nftables.
 *
 * | scope | who carries it | what is in it |
 * | --- | --- | --- |
 * | `network N` | hosts without OpenFlow with an attached endpoint of it | the network, its endpoints, its hosts |
 * | `host H` | that host | which of its endpoints are judged, and as whom |
 * | `subject S` | hosts without OpenFlow with an endpoint of subject S | its rules in order, its default |
 * | `class C` | those whose rules mention it | its endpoints, or its addresses |
 */
import type { App } from '../../controller/datapath/app.js';
import { declareForwarding } from './forwarding.js';
import { softPlacesOf } from './places.js';
import { declarePolicies } from './policies.js';

export const softSwitch: App = {
  name: 'soft-switch',
  id: 24,
  declare(d) {
    const places = softPlacesOf(d);
    declareForwarding(d, places);
    declarePolicies(d, places);
  },
};
