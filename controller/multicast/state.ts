/** What there is, as people and programs are told of it. */
import type { FactInputs } from '../datapath/index.js';
import type { MulticastGroup, MulticastPlace, NetworkFact, NetworkId } from '../model/facts.js';
import type { Directory } from './directory.js';
import type { Elections } from './elections.js';
import { groupText } from './messages.js';
import type { Receiver, Receivers } from './receivers.js';
import { addressText } from './records.js';
import type { Routers } from './routers.js';
import { multicastSettingsOf } from '../../apps/multicast/settings.js';
import type {
  DistributionState,
  GroupCounters,
  MulticastGroupState,
  MulticastProblem,
  MulticastReceiverState,
  MulticastState,
  QuerierState,
} from './types.js';

export interface StateSources {
  readonly directory: Directory;
  readonly receivers: Receivers<MulticastPlace>;
  readonly routers: Routers<MulticastPlace>;
  readonly elections: Elections;
  readonly distributions: Pick<FactInputs['distributions'], 'get'>;
  readonly problems: readonly MulticastProblem[];
  readonly now: number;
}

export interface StateQuestion {
  /** Of this network; absent: of all. */
  readonly only?: NetworkId | undefined;
  /** By `<number of network>/<group>`; absent: nobody asks for them. */
  readonly counters?: ReadonlyMap<string, GroupCounters>;
}

const NOTHING: GroupCounters = { sent: { packets: 0, bytes: 0 }, received: { packets: 0, bytes: 0 } };

export function multicastState(sources: StateSources, { only, counters }: StateQuestion): MulticastState {
  const { directory, routers, now } = sources;
  const networks = [...directory.networks]
    .filter(({ id }) => only === undefined || id === only)
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  return {
    groups: groupsOf(sources, only, counters),
    routers: [...routers.values()]
      .filter(({ segment }) => only === undefined || segment.id === only)
      .map(({ segment, address, learnedBy, until }) => ({
        network: segment.id,
        ...(address === undefined ? {} : { address: addressText(address) }),
        ...(learnedBy === undefined ? {} : { learnedBy }),
        secondsLeft: secondsUntil(until, now),
      })),
    queriers: networks.flatMap((network) =>
      ([4, 6] as const).map((family) => querierOf(sources, network, family)),
    ),
    problems: sources.problems.filter(({ network }) => only === undefined || network === only),
    silent: [],
    floods: networks
      .filter(({ encapsulation }) => encapsulation === 'vxlan')
      .map((network) => ({ network: network.id, distribution: distributionOf(sources, network.number) })),
  };
}

function groupsOf(
  sources: StateSources,
  only: NetworkId | undefined,
  counters: StateQuestion['counters'],
): MulticastGroupState[] {
  const groups = new Map<string, Receiver<MulticastPlace>[]>();
  for (const receiver of sources.receivers.values()) {
    const { id } = receiver.segment;
    if (only !== undefined && id !== only) continue;
    const key = `${id} ${groupText(receiver.group)}`;
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [receiver]);
    else known.push(receiver);
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, receivers]) => {
      const { segment, group, groupNumber } = receivers[0] as Receiver<MulticastPlace>;
      return {
        network: segment.id,
        group: groupText(group),
        number: groupNumber,
        receivers: receivers.map((receiver) => receiverState(sources, receiver)).sort(byPlace),
        distribution: distributionOf(sources, segment.number, group),
        ...(counters && { counters: counters.get(`${segment.number}/${groupText(group)}`) ?? NOTHING }),
      };
    });
}

function byPlace(one: MulticastReceiverState, other: MulticastReceiverState): number {
  return (one.endpoint ?? '') < (other.endpoint ?? '') ? -1 : 1;
}

function receiverState(
  { directory, now }: StateSources,
  receiver: Receiver<MulticastPlace>,
): MulticastReceiverState {
  const { place, filter, version, group } = receiver;
  const { wanted } = filter;
  const endpoint = 'endpoint' in place ? place.endpoint : undefined;
  const host = endpoint === undefined ? undefined : directory.attached(endpoint)?.host;
  return {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(host === undefined ? {} : { host }),
    version: `${group.family === 4 ? 'IGMP' : 'MLD'}v${version}`,
    ...(wanted === undefined
      ? {}
      : { sources: { mode: wanted.mode, addresses: [...wanted.addresses].map(addressText) } }),
    secondsLeft: secondsUntil(filter.until, now),
  };
}

function querierOf({ elections, now }: StateSources, network: NetworkFact, family: 4 | 6): QuerierState {
  const protocol = family === 4 ? 'IGMP' : 'MLD';
  const other = elections.other(network.id, family);
  if (other === undefined) {
    const { snooping, querier } = multicastSettingsOf(network);
    return { network: network.id, protocol, querier: snooping && querier ? 'weft' : 'none' };
  }
  const { address, until } = other;
  return {
    network: network.id,
    protocol,
    querier: 'other',
    address: addressText(address),
    secondsLeft: secondsUntil(until, now),
  };
}

function distributionOf(
  { distributions, directory }: StateSources,
  networkNumber: number,
  group?: MulticastGroup,
): DistributionState {
  const key = group === undefined ? String(networkNumber) : `${networkNumber}/${groupText(group)}`;
  const fact = distributions.get(key);
  const changing = fact !== undefined && fact.trees.some(({ colour }) => colour !== fact.sending);
  const tree = fact?.trees.find(({ colour }) => colour === fact.sending);
  const state = changing ? ({ changing: true } as const) : {};
  if (tree === undefined) return { kind: 'replication', ...state };
  const nameOf = (host: number): string => directory.hostByNumber(host)?.name ?? `#${host}`;
  return {
    kind: 'tree',
    colour: tree.colour,
    root: nameOf(tree.root),
    edges: tree.edges.map(([upper, lower]) => [nameOf(upper), nameOf(lower)] as const),
    ...state,
  };
}

function secondsUntil(until: number, now: number): number {
  return Math.max(0, Math.round((until - now) / 1000));
}
