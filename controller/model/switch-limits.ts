/** What the switches without OpenFlow do not do, told to whoever looks at a host; docs/switches.md says it at length. */
import type { SoftSwitch } from './facts.js';

const LIMITS: Readonly<Record<SoftSwitch, readonly string[]>> = {
  'linux-bridge': [
    'VLAN networks: refused',
    'multicast: flooded, groups are not told apart',
    'broadcast and multicast IP to endpoints with policies for what they receive: dropped',
    'policy: needs br_netfilter on the host; reject drops without an answer, stateless rules that allow admit no answers',
    'policy: logs and counters of rules are not told to the controller',
    'QoS: rates, marks and queues are not enforced',
    'trace and drops: not available for what this host forwards',
  ],
  macvlan: [
    'VXLAN networks: refused',
    'VLAN networks: those of one uplink, each as it leaves the interface named by --uplink',
    'policy: endpoints that are judged by policies are refused or taken down',
    'addresses: an endpoint can send with others than its own',
    'QoS: rates, marks and queues are not enforced',
    'trace and drops: not available for what this host forwards',
  ],
};

/** As sentences for people. */
export function limitsOf(kind: SoftSwitch): readonly string[] {
  return LIMITS[kind];
}
