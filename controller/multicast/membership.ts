/** Group membership: what switches punt becomes facts, and receivers are asked. Puts the parts of it together. */
import type { ChannelListener, PacketInMessage, SwitchSession } from '../channel/index.js';
import type { FactInputs } from '../datapath/index.js';
import type { Logger } from '../log.js';
import type { MetricFamily } from '../metrics.js';
import {
  type DatapathId,
  type EndpointId,
  type FactChange,
  type MulticastPlace,
  type MulticastReceiverFact,
  type NetworkFact,
  type NetworkId,
  UPLINK_PORT,
} from '../model/facts.js';
import { type Action, F, oxm, output, packetOut, VLAN_PRESENT } from '../../ofproto/index.js';
import { Directory } from './directory.js';
import { Elections } from './elections.js';
import type { Journal } from '../journal/journal.js';
import type { Query } from './messages.js';
import { snoopingMetrics } from './metrics.js';
import { membershipPacketIn } from './packet-ins.js';
import type { AudienceChange } from './planner-sets.js';
import { Querier, QUERIER_MAC, type Recipients } from './querier.js';
import {
  DEFAULT_LIMITS,
  type Locus,
  type LimitHit,
  type Places,
  Receivers,
  type Segment,
} from './receivers.js';
import type { ReceiverRecord } from './records.js';
import { receiverFact, Remembered } from './remembered.js';
import { Routers } from './routers.js';
import { multicastSettingsOf } from '../../apps/multicast/settings.js';
import { type Sender, Snooping } from './snooping.js';
import { multicastState, type StateQuestion } from './state.js';
import { DEFAULT_TIMING, membershipIntervalMs, querierPresentMs } from './timing.js';
import type { MulticastProblem, MulticastState } from './types.js';

/** What of a session is needed here. */
export type MembershipSwitch = Pick<SwitchSession, 'datapathId' | 'ports' | 'open' | 'xid' | 'send'>;

export interface MembershipOptions {
  readonly journal: Journal;
  readonly channel: Pick<ChannelListener, 'onPacketIn' | 'onUp'> & {
    readonly sessions: ReadonlyMap<DatapathId, MembershipSwitch>;
  };
  /** Inputs that are written here, and by nobody else; ports are read. */
  readonly facts: Pick<FactInputs, 'multicastReceivers' | 'multicastRouters' | 'ports'>;
  /** Facts have changed: they are derived and sent soon. */
  readonly schedule: () => void;
  /** A receiver or a router came, changed or went; its fact is written. */
  readonly changed: (change: AudienceChange) => void;
  readonly logger: Logger;
  /** Milliseconds of a clock that does not jump. Default: `performance.now`. */
  readonly now?: () => number;
}

/** Milliseconds between looks at the timers. */
const TICK_MS = 100;
/** Actions of one packet-out. */
const MAX_OUTPUTS = 500;
/** Limits that were hit are told of as often as that for each endpoint. */
const LIMIT_LOG_MS = 60_000;
/** For which they are shown after they were hit. */
const PROBLEM_MS = 3_600_000;

/** An endpoint, or the uplink of a network. */
const PLACES: Places<MulticastPlace> = {
  nameOf: (place) => ('endpoint' in place ? place.endpoint : UPLINK),
  holderOf: ({ segment, place }) => ('endpoint' in place ? place.endpoint : `${UPLINK}/${segment.number}`),
  isOneHost: (place) => 'endpoint' in place,
};
const UPLINK = 'uplink';

export class Membership {
  readonly #options: MembershipOptions;
  readonly #now: () => number;
  readonly #directory = new Directory();
  readonly #remembered: Remembered;
  readonly #receivers: Receivers<MulticastPlace>;
  readonly #routers: Routers<MulticastPlace>;
  readonly #elections: Elections;
  readonly #querier: Querier;
  readonly #snooping: Snooping<MulticastPlace, MulticastPlace>;
  readonly #ending: (() => void)[];
  /** Networks whose memberships are kept: their number while they are. */
  readonly #snooped = new Map<NetworkId, number>();
  /** By endpoint, or network for its uplink. */
  readonly #limitsHit = new Map<string, { readonly problem: MulticastProblem; at: number; toldAt: number }>();
  #restored = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    const { channel } = options;
    const now = this.#now();
    const remembered = new Remembered(options.journal);
    this.#remembered = remembered;
    this.#receivers = new Receivers({
      places: PLACES,
      now,
      changed: (receiver) => {
        remembered.receiver(receiver);
        this.#receiverFact(receiver.key, receiverFact(receiver));
      },
      gone: (receiver) => {
        remembered.receiverGone(receiver);
        this.#receiverFact(receiver.key, undefined);
      },
    });
    this.#routers = new Routers({
      nameOf: PLACES.nameOf,
      now,
      arrived: (router) => {
        remembered.router(router);
        this.#routerFact(router.key, router);
      },
      gone: (router) => {
        remembered.routerGone(router);
        this.#routerFact(router.key, undefined);
      },
    });
    this.#elections = new Elections(now);
    this.#querier = new Querier({
      directory: this.#directory,
      elections: this.#elections,
      isConnected: (host) => this.#session(host) !== undefined,
      send: (frame, recipients) => this.#send(frame, recipients),
      now,
    });
    this.#snooping = new Snooping({
      receivers: this.#receivers,
      routers: this.#routers,
      elections: this.#elections,
      isOwn: ({ segment, place }, mac) =>
        'uplink' in place && (mac === QUERIER_MAC || this.#directory.hasMac(segment.id, mac)),
      askAgain: ({ segment }, group, now) => this.#querier.lastMember(segment, group, now),
      answersRouters: (place) => 'uplink' in place,
      queried: ({ segment }, query, frame) => this.#relay(segment, query, frame),
      limited: (why, { segment, place }) =>
        this.#limited(why, segment.id, 'endpoint' in place ? place.endpoint : undefined),
      now,
    });
    const timer = setInterval(() => this.tick(), TICK_MS);
    timer.unref();
    this.#ending = [
      () => clearInterval(timer),
      channel.onPacketIn((session, message) => this.packetIn(session, message)),
      channel.onUp((session) => {
        const host = this.#directory.hostByDatapath(session.datapathId)?.name;
        if (host !== undefined) this.#querier.connected(host, this.#now());
      }),
    ];
  }

  /**
   * Facts of the model as they are committed, all of them in the first call: what was known before the start, and still holds, is in the
   * inputs when it returns.
   */
  facts(changes: readonly FactChange[]): void {
    const { left, arrived, networks } = this.#directory.apply(changes);
    const now = this.#now();
    for (const id of networks) this.#networkChanged(id, now);
    for (const id of left) {
      this.#receivers.forgetHolder(id);
      this.#snooping.forgetBudget(id);
      this.#limitsHit.delete(id);
    }
    if (!this.#restored) this.#restore(now);
    else for (const endpoint of arrived) this.#querier.arrived(endpoint, now);
    for (const change of changes) {
      if (change.kind === 'host' && change.value !== undefined) this.#hostClaimed(change.key, now);
    }
  }

  /** Packet-ins that are not of group membership are left to others. */
  packetIn(session: Pick<MembershipSwitch, 'datapathId' | 'ports'>, message: PacketInMessage): void {
    const packet = membershipPacketIn(message);
    if (packet === undefined) return;
    const network = this.#directory.networkByNumber(packet.networkNumber);
    const host = this.#directory.hostByDatapath(session.datapathId);
    if (network === undefined || host === undefined) return this.#snooping.ignore('unknown-port');
    const now = this.#now();
    if (packet.from === 'uplink') {
      if (network.encapsulation === 'vlan') this.#take(uplinkOf(network), packet.frame, now);
      else this.#snooping.ignore('other');
      return;
    }
    const name = packet.port === undefined ? undefined : session.ports.get(packet.port)?.name;
    const endpoint = name && this.#directory.byInterface(host.name, name);
    if (!endpoint || endpoint.network !== network.id) return this.#snooping.ignore('unknown-port');
    const { id, generation } = endpoint;
    const sender = { kind: 'host', segment: network, place: { endpoint: id }, budget: id } as const;
    this.#take(generation === undefined ? sender : { ...sender, generation }, packet.frame, now);
  }

  /** Looks at the timers; called by itself, and by tests that move the clock. */
  tick(): void {
    const now = this.#now();
    const receiversChanged = this.#receivers.expire(now);
    const routersChanged = this.#routers.expire(now);
    for (const { network } of this.#elections.expire(now)) this.#querier.startNetwork(network, now);
    this.#querier.tick(now);
    if (receiversChanged || routersChanged) this.#options.schedule();
  }

  hostOf(datapathId: DatapathId): string | undefined {
    return this.#directory.hostByDatapath(datapathId)?.name;
  }

  state(distributions: Pick<FactInputs['distributions'], 'get'>, asked: StateQuestion = {}): MulticastState {
    const now = this.#now();
    const problems = [...this.#limitsHit.values()].filter(({ at }) => now - at < PROBLEM_MS);
    return multicastState(
      {
        directory: this.#directory,
        receivers: this.#receivers,
        routers: this.#routers,
        elections: this.#elections,
        distributions,
        problems: problems.map(({ problem }) => problem),
        now,
      },
      asked,
    );
  }

  metrics(): MetricFamily[] {
    return snoopingMetrics({
      prefix: 'weft_multicast',
      snooping: this.#snooping,
      receivers: this.#receivers,
      routers: this.#routers,
      queriesSent: this.#querier.sent,
    });
  }

  close(): void {
    for (const end of this.#ending.splice(0)) end();
  }

  #take(sender: Sender<MulticastPlace, MulticastPlace>, frame: Uint8Array, now: number): void {
    if (this.#snooping.take(sender, frame, now)) this.#options.schedule();
  }

  #receiverFact(key: string, value: MulticastReceiverFact | undefined): void {
    const { facts, changed } = this.#options;
    if (value === undefined) facts.multicastReceivers.delete(key);
    else facts.multicastReceivers.set(key, value);
    changed({ kind: 'receiver', key, ...(value === undefined ? {} : { value }) });
  }

  #routerFact(key: string, router: Locus<MulticastPlace> | undefined): void {
    const { facts, changed } = this.#options;
    const value = router && { network: router.segment.id, place: router.place };
    if (value === undefined) facts.multicastRouters.delete(key);
    else facts.multicastRouters.set(key, value);
    changed({ kind: 'router', key, ...(value === undefined ? {} : { value }) });
  }

  #restore(now: number): void {
    this.#restored = true;
    const locate = (record: ReceiverRecord): Locus<MulticastPlace> | undefined => {
      const network = this.#directory.network(record.network);
      if (network === undefined || !this.#snooped.has(network.id)) return undefined;
      const { place } = record;
      if ('uplink' in place)
        return network.encapsulation === 'vlan' ? { segment: network, place } : undefined;
      const endpoint = this.#directory.attached(place.endpoint);
      if (endpoint?.network !== network.id || endpoint.generation !== record.generation) return undefined;
      return { segment: network, place, generation: endpoint.generation };
    };
    const until = now + membershipIntervalMs(DEFAULT_TIMING);
    for (const receiver of this.#remembered.restoreReceivers(this.#receivers, locate, until)) {
      this.#receiverFact(receiver.key, receiverFact(receiver));
    }
    const locateRouter = (id: NetworkId): Segment | undefined => {
      const network = this.#directory.network(id);
      return network?.encapsulation === 'vlan' && this.#snooped.has(id) ? network : undefined;
    };
    const present = now + querierPresentMs(DEFAULT_TIMING);
    for (const router of this.#remembered.restoreRouters(this.#routers, locateRouter, present)) {
      this.#routerFact(router.key, router);
    }
  }

  /** A network that is gone, is another one by the same name, or does not listen any more is forgotten. */
  #networkChanged(id: NetworkId, now: number): void {
    const network = this.#directory.network(id);
    const before = this.#snooped.get(id);
    const after = network !== undefined && multicastSettingsOf(network).snooping ? network.number : undefined;
    if (before === after) return;
    if (before !== undefined) {
      this.#receivers.forgetSegment(before);
      this.#routers.forget(({ segment }) => segment.number === before);
      this.#elections.forget(id);
      this.#snooping.forgetBudget(uplinkBudget(id));
      this.#snooped.delete(id);
    }
    if (after === undefined) return;
    this.#snooped.set(id, after);
    this.#querier.startNetwork(id, now);
  }

  /** Its switch may have connected before its agent claimed it. */
  #hostClaimed(host: string, now: number): void {
    if (this.#session(host) !== undefined) this.#querier.connected(host, now);
  }

  #session(host: string): MembershipSwitch | undefined {
    const datapathId = this.#directory.host(host)?.datapathId;
    const session = datapathId === undefined ? undefined : this.#options.channel.sessions.get(datapathId);
    return session?.open === true ? session : undefined;
  }

  /** Out of ports directly: what the controller asks passes no table. */
  #send(data: Uint8Array, { host, endpoints, uplinkTag }: Recipients): void {
    const session = this.#session(host);
    if (session === undefined) return;
    const outputs: Action[] = [];
    for (const endpoint of endpoints) {
      const port = this.#options.facts.ports.get(`${session.datapathId}/${endpoint.interface}`);
      if (port !== undefined) outputs.push(output(port.number));
    }
    const tagged: Action[] =
      uplinkTag === undefined
        ? []
        : [
            { type: 'push_vlan', ethertype: 0x8100 },
            { type: 'set_field', oxm: oxm(F.vlan_vid, VLAN_PRESENT | uplinkTag) },
            output(UPLINK_PORT),
          ];
    for (let at = 0; at < outputs.length + 1; at += MAX_OUTPUTS) {
      const last = at + MAX_OUTPUTS > outputs.length;
      const actions = [...outputs.slice(at, at + MAX_OUTPUTS), ...(last ? tagged : [])];
      if (actions.length > 0) session.send(packetOut({ xid: session.xid(), data, actions }));
    }
  }

  /** To the receivers of the group, each on its host. */
  #relay(network: Segment, { group }: Query, frame: Uint8Array): void {
    if (group === undefined) return;
    const hosts = new Map<string, Recipients['endpoints'][number][]>();
    for (const { place } of this.#receivers.ofGroup(network.number, group)) {
      const endpoint = 'endpoint' in place ? this.#directory.attached(place.endpoint) : undefined;
      if (endpoint === undefined) continue;
      const here = hosts.get(endpoint.host) ?? [];
      here.push(endpoint);
      hosts.set(endpoint.host, here);
    }
    for (const [host, endpoints] of hosts) this.#send(frame, { host, endpoints });
  }

  #limited(why: LimitHit, network: NetworkId, endpoint: EndpointId | undefined): void {
    const now = this.#now();
    const key = endpoint ?? network;
    const known = this.#limitsHit.get(key);
    if (known !== undefined) known.at = now;
    if (known !== undefined && now - known.toldAt < LIMIT_LOG_MS) return;
    const who = endpoint ?? `somebody behind the uplink of ${network}`;
    const problem = {
      code: `multicast.limit.${why}`,
      network,
      ...(endpoint === undefined ? {} : { endpoint }),
      message: `${who} wants to join more multicast groups than are kept (${LIMITS_IN_WORDS[why]}); it is not taken for a receiver of the rest`,
      fix: 'leave groups that nobody needs, or spread them over more endpoints and networks',
    };
    this.#limitsHit.set(key, { problem, at: now, toldAt: now });
    this.#options.logger.warn({ event: 'multicast.limit', limit: why, ...problem }, problem.message);
  }
}

const uplinkBudget = (network: NetworkId): string => `${UPLINK} ${network}`;

function uplinkOf(network: NetworkFact): Sender<MulticastPlace, MulticastPlace> {
  const place = { uplink: true } as const;
  return { kind: 'crowd', segment: network, place, routerPlace: place, budget: uplinkBudget(network.id) };
}

const LIMITS_IN_WORDS: Readonly<Record<LimitHit, string>> = {
  'groups-of-endpoint': `${DEFAULT_LIMITS.groupsOfEndpoint} for an endpoint`,
  'groups-of-network': `${DEFAULT_LIMITS.groupsOfNetwork} for a network`,
  'group-numbers': 'all numbers of groups are in use',
};
