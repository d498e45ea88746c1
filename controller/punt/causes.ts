/**
 * Why packets are dropped, in words: one line for every rule of an app whose entries drop. An entry of a rule that is not here is named
 * after its rule, so that nothing that is counted goes untold.
 */
import { SpoofKind } from '../../apps/anti-spoof.js';
import { ForwardDrop } from '../../apps/bridge.js';
import { ClassifyDrop } from '../../apps/classify.js';
import { DistributionDrop } from '../../apps/multicast/distributions.js';
import { MembershipDrop } from '../../apps/multicast/membership.js';
import { T } from '../../apps/pipeline.js';
import { PolicyDrop } from '../../apps/policy/sides.js';
import { type EntryOwner, ownerText } from '../datapath/index.js';
import type { RuleFact } from '../model/facts.js';
import type { Names } from './names.js';
import type { DropCounter } from './types.js';

/** Why an entry drops. */
interface Reason {
  readonly cause: string;
  readonly text: string;
  readonly countedAgain?: true;
}

/** What is said of a drop, beside where and how often. */
export type Cause = Reason & Pick<DropCounter, 'endpoint' | 'network' | 'tenant' | 'rule' | 'policy'>;

/** `undefined`: what is dropped was not to arrive anywhere, nothing is lost. */
type Explain = (object: number, table: number, names: Names) => Reason | undefined;

/** The cause of a drop by an entry of `owner` in a table. */
export function causeOf(owner: EntryOwner, table: number, names: Names): Cause | undefined {
  const { rule, object } = owner;
  const explain = CAUSES[rule];
  const reason =
    explain === undefined
      ? { cause: rule, text: `by ${ownerText(owner)}` }
      : explain(object?.number ?? 0, table, names);
  return reason && { ...reason, ...aboutOf(object, names) };
}

/**
 * The cause of a drop by a meter, from the last table in which packets pass it; undefined for meters that packets on their way do not pass.
 * @param owners of the entries that send packets through it
 */
export function causeOfMeter(table: number, owners: readonly EntryOwner[], names: Names): Cause | undefined {
  const [cause, text] = METERS[table] ?? [];
  if (cause === undefined || text === undefined) return undefined;
  const [first] = owners;
  const shared = owners.some(({ object }) => object?.name !== first?.object?.name);
  const reason = { cause: `rate.${cause}`, text: shared ? `${text}, which several endpoints share` : text };
  return { ...reason, ...(shared ? {} : aboutOf(first?.object, names)) };
}

/** By table. */
const METERS: Readonly<Record<number, readonly [cause: string, text: string]>> = {
  [T.storm_control.id]: ['flooding', 'it sent ARP, broadcast and multicast faster than a port may'],
  [T.broadcast_limit.id]: ['broadcast', 'broadcast in the network over its limit for one host'],
  [T.qos_out.id]: ['sending', 'sent over the rate of the QoS profile'],
  [T.qos_in.id]: ['receiving', 'received over the rate of the QoS profile'],
};

/** The object that the entry is about, and what it belongs to. */
function aboutOf(object: EntryOwner['object'], names: Names): Partial<Cause> {
  if (object === undefined) return {};
  const { kind, name, number } = object;
  if (name === undefined) return {};
  const tenant = tenantOf(name);
  switch (kind) {
    case 'endpoint': {
      const network = names.endpoint(number)?.network;
      return { endpoint: name, ...(network === undefined ? {} : { network }), tenant };
    }
    case 'network':
      return { network: name, tenant };
    case 'rule': {
      const policy = names.rule(number)?.policy;
      return { rule: name, ...(policy === undefined ? {} : { policy }), tenant };
    }
    case 'policy':
      return { policy: name, tenant };
    case 'tenant':
      return { tenant };
    default:
      return {};
  }
}

const CAUSES: Readonly<Record<string, Explain>> = {
  'classify.drops': byObject(
    {
      [ClassifyDrop.unknownTag]: ['unknown-tag', 'VLAN tag of no network of this host'],
      [ClassifyDrop.unknownTunnel]: [
        'unknown-tunnel',
        'VNI of no network of this host, or from a host that is no member of it, or tagged inside the tunnel',
      ],
      [ClassifyDrop.taggedByEndpoint]: ['tagged-by-endpoint', 'an endpoint sent a frame with a VLAN tag'],
    },
    'classify',
  ),
  'vxlan.tunnel addresses': (object, table, names) =>
    table === T.tunnel_output.id
      ? // The copy of a flooded frame that a host would send to itself: meant not to be sent.
        undefined
      : {
          cause: 'tunnel.own-address',
          text: `a tunnel packet with the address of this host (${names.hostByNumber(object) ?? 'unknown'}) as its source`,
        },
  'anti-spoof.mac': () => ({
    cause: 'spoofed.mac-of-endpoint',
    text: 'its MAC address was used by somebody else',
    countedAgain: true,
  }),
  'anti-spoof.spoofers': () => ({
    cause: 'spoofed.sender',
    text: 'it sent with a forged source, or as a router or DHCP server',
  }),
  'anti-spoof.cluster': (object, table) => {
    const [cause, text] = SPOOFED[object] ?? ['other', `number ${object}`];
    const ends = table === T.spoofed.id || object === SpoofKind.doubleTag;
    return { cause: `spoofed.${cause}`, text, ...(ends ? {} : { countedAgain: true }) };
  },
  'arp.unknown address': unknownAddress('ARP request'),
  'neighbour-discovery.unknown address': unknownAddress('neighbour solicitation'),
  'bridge.cluster': byObject(
    {
      [ForwardDrop.bridgeReserved]: ['reserved-address', 'for the bridge itself: spanning tree, LLDP, pause'],
    },
    'forward',
  ),
  'bridge.unknown destination': () => ({
    cause: 'forward.unknown-destination',
    text: 'to a MAC address that no endpoint of the network has',
  }),
  'membership.cluster': (object) =>
    object === MembershipDrop.fromTunnel
      ? { cause: 'membership.from-tunnel', text: 'IGMP or MLD of another host: each host asks its own' }
      : // Reports from the uplink: the controller has them from another host.
        undefined,
  'multicast.strays': byObject(
    {
      [DistributionDrop.stray]: [
        'stray',
        'of a distribution tree that this host is not on, or from a host that is not its neighbour there',
      ],
    },
    'distribution',
  ),
  'multicast.groups': () => ({
    cause: 'distribution.stray',
    text: 'to a multicast group, of a distribution tree that this host is not on',
  }),
  // Nobody here wants them: they came for others on the way, or are from this host.
  'multicast.cluster': () => undefined,
  'multicast.receivers': () => undefined,
  'multicast.groups of routers': () => undefined,
  'multicast.unregistered for routers': () => undefined,
  'multicast.unregistered': () => ({
    cause: 'multicast.unregistered',
    text: 'to a multicast group that nobody has joined',
  }),
  // The controller has them.
  'membership.uplink': () => undefined,
  'policy.verdicts': (object, _table, names) => RULE_DROPS[names.rule(object)?.action ?? 'gone'],
  'policy.policy defaults': () => ({ cause: 'policy.default', text: 'denied by the default of the policy' }),
  'policy.tenant defaults': () => ({
    cause: 'policy.tenant-default',
    text: 'denied by the default of the tenant',
  }),
  'policy.untracked': byObject(
    {
      [PolicyDrop.invalid]: [
        'invalid',
        'to or from an endpoint with policies, of no connection that is known and not the beginning of one',
      ],
      [PolicyDrop.untracked]: ['untracked', 'of a DHCP client, to an endpoint with policies'],
    },
    'policy',
  ),
  'policy.receivers': () => ({
    cause: 'policy.not-its-address',
    text: 'answers to its MAC address and an IP address that is not its own',
  }),
  'pipeline.miss': (_object, table) => {
    const [cause, text] = MISSES[table] ?? ['no-entry', 'no entry of the table says what to do'];
    return { cause: `miss.${cause}`, text };
  },
};

/** By the action of the rule. */
const RULE_DROPS = {
  deny: { cause: 'policy.rule', text: 'denied by the rule' },
  reject: { cause: 'policy.rule', text: 'rejected by the rule' },
  // The verdict of such a rule drops what answers connections that it let pass.
  allow: {
    cause: 'policy.stateless',
    text: 'answers to connections of the stateless rule, which need a rule of their own',
  },
  gone: { cause: 'policy.rule', text: 'by a rule that is being deleted' },
} as const satisfies Record<RuleFact['action'] | 'gone', Reason>;

/** Of `anti-spoof.cluster`, by `SpoofKind`. */
const SPOOFED: Readonly<Record<number, readonly [cause: string, text: string]>> = {
  [SpoofKind.sourceMac]: ['source-mac', 'forged source MAC address'],
  [SpoofKind.ipv4Source]: ['ipv4-source', 'forged IPv4 source address'],
  [SpoofKind.ipv6Source]: ['ipv6-source', 'forged IPv6 source address'],
  [SpoofKind.arpSender]: ['arp-sender', 'forged sender in ARP'],
  [SpoofKind.neighbourSolicitation]: ['neighbour-solicitation', 'forged source in a neighbour solicitation'],
  [SpoofKind.neighbourAdvertisement]: [
    'neighbour-advertisement',
    'forged target in a neighbour advertisement',
  ],
  [SpoofKind.routerAdvertisement]: ['router-advertisement', 'router advertisement of an endpoint'],
  [SpoofKind.redirect]: ['redirect', 'ICMPv6 redirect of an endpoint'],
  [SpoofKind.membershipQuery]: ['membership-query', 'query for group membership of an endpoint'],
  [SpoofKind.dhcpServer]: ['dhcp-server', 'DHCP answer of an endpoint'],
  [SpoofKind.doubleTag]: ['double-tag', 'a second VLAN tag'],
  [SpoofKind.fromTunnel]: ['from-tunnel', 'from a tunnel, with the MAC address of an endpoint of this host'],
  [SpoofKind.fromUplink]: [
    'from-uplink',
    'from the uplink, with the MAC address of an endpoint of this host',
  ],
};

/** By table. */
const MISSES: Readonly<Record<number, readonly [cause: string, text: string]>> = {
  [T.classify.id]: ['unknown-port', 'from a port that no attached endpoint has'],
  [T.spoofed.id]: ['spoofed', 'forged, from a port that no attached endpoint has any more'],
  [T.membership_report.id]: ['no-endpoint', 'a report from a port that no attached endpoint has any more'],
  [T.forward.id]: ['no-network', 'of a network that is not known here any more'],
  [T.multicast_local.id]: ['nobody-here', 'to a multicast group that has no receivers here any more'],
  [T.flood_local.id]: ['nobody-here', 'flooded in a network that has no endpoint here any more'],
  [T.tunnel_output.id]: ['no-tunnel-address', 'to a host whose tunnel address is not known'],
};

/** Objects of a rule that are reasons. */
function byObject(
  reasons: Readonly<Record<number, readonly [cause: string, text: string]>>,
  group: string,
): Explain {
  return (object) => {
    const [cause, text] = reasons[object] ?? ['other', `number ${object}`];
    return { cause: `${group}.${cause}`, text };
  };
}

function unknownAddress(what: string): Explain {
  return () => ({
    cause: 'resolution.unknown-address',
    text: `${what} for an address that no endpoint of the network has`,
  });
}

export function tenantOf(id: string): string {
  const slash = id.indexOf('/');
  return slash < 0 ? id : id.slice(0, slash);
}
