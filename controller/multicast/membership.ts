/** Group membership: what switches punt becomes facts, and receivers are asked. Puts the parts of it together. */
import type { ChannelListener, PacketInMessage, SwitchSession } from '../channel/index.js';
import type { FactInputs } from '../datapath/index.js';
import type { Logger } from '../log.js';
import type { MetricFamily } from '../metrics.js';
import {
  type DatapathId,
  type EndpointId,
  type FactChange,
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
import { Querier, type Recipients } from './querier.js';
import { DEFAULT_LIMITS, type Locus, type LimitHit, Receivers } from './receivers.js';
import type { ReceiverRecord } from './records.js';
import { Routers } from './routers.js';
import { multicastSettingsOf } from '../../apps/multicast/settings.js';
import { Snooping } from './snooping.js';
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

export class Membership {
  readonly #options: MembershipOptions;
  readonly #now: () => number;
  readonly #directory = new Directory();
  readonly #receivers: Receivers;
  readonly #routers: Routers;
  readonly #elections: Elections;
  readonly #querier: Querier;
  readonly #snooping: Snooping;
  readonly #ending: (() => void)[];
  /** Networks whose memberships are kept: their number while they are. */
  readonly #snooped = new Map<NetworkId, number>();
  /** By endpoint, or network for its uplink. */
  readonly #limitsHit = new Map<string, { readonly problem: MulticastProblem; at: number; toldAt: number }>();
  #restored = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    const { journal, channel, facts } = options;
    const now = this.#now();
    this.#receivers = new Receivers({
      journal,
      now,
      changed: (key, fact) => {
        if (fact === undefined) facts.multicastReceivers.delete(key);
        else facts.multicastReceivers.set(key, fact);
        options.changed({ kind: 'receiver', key, ...(fact === undefined ? {} : { value: fact }) });
      },
    });
    this.#routers = new Routers({
      journal,
      now,
      changed: (key, fact) => {
        if (fact === undefined) facts.multicastRouters.delete(key);
        else facts.multicastRouters.set(key, fact);
        options.changed({ kind: 'router', key, ...(fact === undefined ? {} : { value: fact }) });
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
      directory: this.#directory,
      receivers: this.#receivers,
      routers: this.#routers,
      elections: this.#elections,
      querier: this.#querier,
      relay: (network, query, frame) => this.#relay(network, query, frame),
      limited: (why, network, endpoint) => this.#limited(why, network, endpoint),
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
      this.#receivers.forgetEndpoint(id);
      this.#snooping.forgetEndpoint(id);
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
      if (this.#snooping.fromUplink(network, packet.frame, now)) this.#options.schedule();
      return;
    }
    const name = packet.port === undefined ? undefined : session.ports.get(packet.port)?.name;
    const endpoint = name && this.#directory.byInterface(host.name, name);
    if (!endpoint || endpoint.network !== network.id) return this.#snooping.ignore('unknown-port');
    if (this.#snooping.fromEndpoint(endpoint, network, packet.frame, now)) this.#options.schedule();
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
      snooping: this.#snooping,
      receivers: this.#receivers,
      routers: this.#routers,
      queriesSent: this.#querier.sent,
    });
  }

  close(): void {
    for (const end of this.#ending.splice(0)) end();
  }

  #restore(now: number): void {
    this.#restored = true;
    const locate = (record: ReceiverRecord): Locus | undefined => {
      const network = this.#directory.network(record.network);
      if (network === undefined || !this.#snooped.has(network.id)) return undefined;
      const { place } = record;
      if ('uplink' in place) return network.encapsulation === 'vlan' ? { network, place } : undefined;
      const endpoint = this.#directory.attached(place.endpoint);
      if (endpoint?.network !== network.id || endpoint.generation !== record.generation) return undefined;
      return { network, place, generation: endpoint.generation };
    };
    this.#receivers.restore(locate, now + membershipIntervalMs(DEFAULT_TIMING));
    this.#routers.restore((id) => {
      const network = this.#directory.network(id);
      return network?.encapsulation === 'vlan' && this.#snooped.has(id) ? network : undefined;
    }, now + querierPresentMs(DEFAULT_TIMING));
  }

  /** A network that is gone, is another one by the same name, or does not listen any more is forgotten. */
  #networkChanged(id: NetworkId, now: number): void {
    const network = this.#directory.network(id);
    const before = this.#snooped.get(id);
    const after = network !== undefined && multicastSettingsOf(network).snooping ? network.number : undefined;
    if (before === after) return;
    if (before !== undefined) {
      this.#receivers.forgetNetwork(before);
      this.#routers.forgetNetwork(before);
      this.#elections.forget(id);
      this.#snooping.forgetNetwork(id);
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
  #relay(network: NetworkFact, { group }: Query, frame: Uint8Array): void {
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

  #limited(why: LimitHit, network: NetworkFact, endpoint: EndpointId | undefined): void {
    const now = this.#now();
    const key = endpoint ?? network.id;
    const known = this.#limitsHit.get(key);
    if (known !== undefined) known.at = now;
    if (known !== undefined && now - known.toldAt < LIMIT_LOG_MS) return;
    const who = endpoint ?? `somebody behind the uplink of ${network.id}`;
    const problem = {
      code: `multicast.limit.${why}`,
      network: network.id,
      ...(endpoint === undefined ? {} : { endpoint }),
      message: `${who} wants to join more multicast groups than are kept (${LIMITS_IN_WORDS[why]}); it is not taken for a receiver of the rest`,
      fix: 'leave groups that nobody needs, or spread them over more endpoints and networks',
    };
    this.#limitsHit.set(key, { problem, at: now, toldAt: now });
    this.#options.logger.warn({ event: 'multicast.limit', limit: why, ...problem }, problem.message);
  }
}

const LIMITS_IN_WORDS: Readonly<Record<LimitHit, string>> = {
  'groups-of-endpoint': `${DEFAULT_LIMITS.groupsOfEndpoint} for an endpoint`,
  'groups-of-network': `${DEFAULT_LIMITS.groupsOfNetwork} for a network`,
  'group-numbers': 'all numbers of groups are in use',
};
