/**
 * Group membership in the fabric: what stations and routers at edge ports say becomes facts, and stations are asked. Where stations are is
 * read from the facts that `controller/fabric` writes; whoever wires it lets these be written through here.
 */
import type { FactInputs } from '../../datapath/index.js';
import { watched } from '../../datapath/watched.js';
import type { Logger } from '../../log.js';
import type { MetricFamily } from '../../metrics.js';
import type { DatapathId, FabricPortFact, MulticastGroup, StationFact } from '../../model/facts.js';
import { type Action, F, formatMac, output, oxm, VLAN_PRESENT } from '../../../ofproto/index.js';
import { Elections } from '../elections.js';
import type { Query } from '../messages.js';
import { snoopingMetrics } from '../metrics.js';
import { QUERIER_MAC } from '../querier.js';
import { type LimitHit, Receivers, type Segment } from '../receivers.js';
import { Routers } from '../routers.js';
import { type Sender, Snooping } from '../snooping.js';
import type { FabricMulticastState } from '../types.js';
import { EdgePorts, placeOf, type PortPlace, portKey, Vlans } from './edge-ports.js';
import { STATION_PLACES, type StationPlace, stationKey } from './places.js';
import { FabricQuerier } from './querier.js';
import { fabricMulticastState, segmentId } from './state.js';

/** Facts of the fabric's own tables that are written here, and by nobody else. */
type Written = 'fabricMulticast' | 'snoopedVlans' | 'fabricReceivers' | 'fabricRouters';
/** Facts that are written by others. */
type Read = 'stations' | 'fabricPorts' | 'hosts' | 'links' | 'floodPorts';

export interface FabricMembershipOptions {
  readonly facts: Pick<FactInputs, Written | Read>;
  /** Stations are asked where nobody else does. */
  readonly querier: boolean;
  readonly unregistered: 'flood' | 'drop';
  readonly isConnected: (datapathId: DatapathId) => boolean;
  /** Sends a packet-out; nothing happens where the switch is gone. */
  readonly send: (datapathId: DatapathId, frame: Uint8Array, actions: readonly Action[]) => void;
  /** Facts have changed: they are derived and sent soon. */
  readonly schedule: () => void;
  readonly logger: Logger;
  /** Milliseconds of a clock that does not jump. Default: `performance.now`. */
  readonly now?: () => number;
}

/** Milliseconds between looks at the timers. */
const TICK_MS = 100;
/** Actions of one packet-out. */
const MAX_OUTPUTS = 500;
/** Groups of all VLANs: each is an entry on every switch. What is over it is flooded, unless it is dropped by setting. */
const MAX_GROUPS = 16_384;
/** Limits that were hit are told of as often as that. */
const LIMIT_LOG_MS = 60_000;

export class FabricMembership {
  readonly #options: FabricMembershipOptions;
  readonly #now: () => number;
  readonly #ports = new EdgePorts();
  readonly #vlans = new Vlans();
  readonly #receivers: Receivers<StationPlace>;
  readonly #routers: Routers<PortPlace>;
  readonly #elections: Elections;
  readonly #querier: FabricQuerier;
  readonly #snooping: Snooping<StationPlace, PortPlace>;
  readonly #segments = new Map<number, Segment>();
  /** By key of their fact. What has been written is read from inputs only when it has been settled, so they are kept here too. */
  readonly #stations = new Map<string, StationFact>();
  /** To be written through: what is a fact is news here as well. */
  readonly facts: Pick<FactInputs, 'stations' | 'fabricPorts'>;
  readonly #timer: NodeJS.Timeout;
  #limitToldAt = Number.NEGATIVE_INFINITY;

  constructor(options: FabricMembershipOptions) {
    const { facts, unregistered, isConnected } = options;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    const now = this.#now();
    this.#receivers = new Receivers({
      places: STATION_PLACES,
      now,
      limits: { groups: MAX_GROUPS },
      changed: ({ key, segment, group, place }) => {
        const at = this.#stations.get(place.station);
        if (at !== undefined) this.#receiverAt(key, segment.number, group, at);
      },
      gone: ({ key }) => facts.fabricReceivers.delete(key),
    });
    this.#routers = new Routers({
      nameOf: portKey,
      now,
      arrived: ({ key, segment, place }) => facts.fabricRouters.set(key, { vlan: segment.number, ...place }),
      gone: ({ key }) => facts.fabricRouters.delete(key),
    });
    this.#elections = new Elections(now);
    this.#querier = new FabricQuerier({
      asks: options.querier,
      ports: this.#ports,
      vlans: () => this.#vlans.values(),
      isConnected,
      isRouterPort: (vlan, place) => this.#routers.has(this.#segment(vlan), place),
      hasOther: (vlan, family) => this.#elections.other(segmentId(vlan), family) !== undefined,
      send: (datapathId, ports, vlan, frame) => this.#send(datapathId, frame, ports, vlan),
      known: (vlan) => {
        facts.snoopedVlans.set(`${vlan}`, { vlan });
        options.schedule();
      },
      now,
    });
    this.#snooping = new Snooping({
      receivers: this.#receivers,
      routers: this.#routers,
      elections: this.#elections,
      isOwn: (_, sourceMac) => sourceMac === QUERIER_MAC,
      askAgain: ({ segment, place }, group, at) => this.#askAgain(segment, place, group, at),
      answersRouters: () => true,
      reported: (sender, frame) => this.#toRouters(sender, frame),
      queried: (sender, query, frame) => this.#toReceivers(sender, query, frame),
      limited: (why, { segment, place }) => this.#limited(why, segment, place),
      now,
    });
    this.facts = {
      stations: watched(facts.stations, (key, fact) => this.#stationChanges(key, fact)),
      fabricPorts: watched(facts.fabricPorts, (key, fact) => this.#portChanges(key, fact)),
    };
    facts.fabricMulticast.set('fabric', { unregistered });
    this.#timer = setInterval(() => this.tick(), TICK_MS);
    this.#timer.unref();
  }

  /** A switch has (again) connected: what was said meanwhile was heard by nobody. */
  switchUp(datapathId: DatapathId): void {
    const now = this.#now();
    for (const port of this.#ports.of(datapathId)) this.#querier.portUp({ datapathId, port }, now);
  }

  /** A frame with a message of group membership came in at a port. @param vlan VLAN id; 0: without a tag */
  packetIn(datapathId: DatapathId, port: number, vlan: number, frame: Uint8Array): void {
    const mac = sourceOf(frame);
    const key = stationKey(vlan, mac);
    const station = this.#stations.get(key);
    if (station?.datapathId !== datapathId || station.port !== port) {
      this.#snooping.ignore('unknown-port');
      return;
    }
    const place = { datapathId, port };
    const sender: Sender<StationPlace, PortPlace> = {
      kind: 'station',
      segment: this.#segment(vlan),
      place: { station: key, mac: formatMac(mac) },
      routerPlace: place,
      budget: portKey(place),
    };
    if (this.#snooping.take(sender, frame, this.#now())) this.#options.schedule();
  }

  /** Looks at the timers; called by itself, and by tests that move the clock. */
  tick(): void {
    const now = this.#now();
    const receiversChanged = this.#receivers.expire(now);
    const routersChanged = this.#routers.expire(now);
    for (const { network } of this.#elections.expire(now)) {
      for (const [vlan, { id }] of this.#segments) if (id === network) this.#querier.resume(vlan, now);
    }
    this.#querier.tick(now);
    if (receiversChanged || routersChanged) this.#options.schedule();
  }

  state(): FabricMulticastState {
    return fabricMulticastState({
      facts: this.#options.facts,
      stations: this.#stations,
      isKnown: (vlan) => this.#querier.isKnown(vlan),
      vlans: this.#vlans,
      receivers: this.#receivers,
      routers: this.#routers,
      elections: this.#elections,
      asks: this.#options.querier,
      now: this.#now(),
    });
  }

  metrics(): MetricFamily[] {
    return snoopingMetrics({
      prefix: 'weft_fabric_multicast',
      snooping: this.#snooping,
      receivers: this.#receivers,
      routers: this.#routers,
      queriesSent: this.#querier.sent,
    });
  }

  /** Facts stay as they are: switches are to forward on without us. */
  close(): void {
    clearInterval(this.#timer);
  }

  /** What a VLAN is where networks of the overlay are networks. */
  #segment(vlan: number): Segment {
    let segment = this.#segments.get(vlan);
    if (segment === undefined) {
      const { querier, unregistered } = this.#options;
      segment = { id: segmentId(vlan), number: vlan, multicast: { snooping: true, querier, unregistered } };
      this.#segments.set(vlan, segment);
    }
    return segment;
  }

  #receiverAt(key: string, vlan: number, group: MulticastGroup, { datapathId, port }: PortPlace): void {
    this.#options.facts.fabricReceivers.set(key, { vlan, group, datapathId, port });
  }

  /** A station takes what it has joined along when it moves; whether it still wants it there is asked. */
  #stationChanges(key: string, after: StationFact | undefined): void {
    const before = this.#stations.get(key);
    const now = this.#now();
    if (after === undefined) {
      this.#stations.delete(key);
      this.#receivers.forgetHolder(key);
      if (before !== undefined && this.#vlans.left(before)) this.#vlanGone(before.vlan);
      return;
    }
    this.#stations.set(key, after);
    if (before === undefined) {
      if (this.#vlans.arrived(after)) this.#querier.start(after.vlan, now);
      return;
    }
    if (before.datapathId === after.datapathId && before.port === after.port) return;
    const joined = [...this.#receivers.ofHolder(key)];
    if (joined.length === 0) return;
    const until = this.#querier.portUp(after, now);
    for (const receiver of joined) {
      this.#receiverAt(receiver.key, after.vlan, receiver.group, after);
      this.#receivers.doubt(receiver, receiver.group, until);
    }
  }

  #vlanGone(vlan: number): void {
    this.#querier.stop(vlan);
    this.#routers.forget(({ segment }) => segment.number === vlan);
    this.#elections.forget(segmentId(vlan));
    this.#segments.delete(vlan);
    this.#options.facts.snoopedVlans.delete(`${vlan}`);
  }

  #portChanges(key: string, after: FabricPortFact | undefined): void {
    const place = placeOf(key);
    const change = this.#ports.set(place, after);
    if (change === 'came') this.#querier.portUp(place, this.#now());
    if (change !== 'went') return;
    this.#routers.forget((router) => portKey(router.place) === key);
    this.#snooping.forgetBudget(key);
  }

  #askAgain(segment: Segment, { station }: StationPlace, group: MulticastGroup, now: number): number {
    const at = this.#stations.get(station);
    return at === undefined ? now : this.#querier.lastMember(segment.number, group, at, now);
  }

  /** Reports go to routers, so that they send what somebody here has joined; each as its sender sent it. */
  #toRouters({ segment, routerPlace }: Sender<StationPlace, PortPlace>, frame: Uint8Array): void {
    if (this.#routers.size === 0) return;
    const places: PortPlace[] = [];
    for (const {
      segment: { number },
      place,
    } of this.#routers.values()) {
      if (number === segment.number) places.push(place);
    }
    this.#handOn(frame, places, routerPlace);
  }

  /** Of IPv6 they travel by themselves: their type can be told apart. */
  #toReceivers(
    { segment, routerPlace }: Sender<StationPlace, PortPlace>,
    { group }: Query,
    frame: Uint8Array,
  ): void {
    if (group?.family !== 4) return;
    const places: PortPlace[] = [];
    for (const { place } of this.#receivers.ofGroup(segment.number, group)) {
      const at = this.#stations.get(place.station);
      if (at !== undefined) places.push(at);
    }
    this.#handOn(frame, places, routerPlace);
  }

  #handOn(frame: Uint8Array, places: readonly PortPlace[], from: PortPlace | undefined): void {
    const ports = new Map<DatapathId, Set<number>>();
    for (const place of places) {
      if (from !== undefined && portKey(place) === portKey(from)) continue;
      const here = ports.get(place.datapathId) ?? new Set();
      ports.set(place.datapathId, here.add(place.port));
    }
    for (const [datapathId, here] of ports) this.#send(datapathId, frame, [...here]);
  }

  /** Out of ports directly: what the controller sends passes no table. @param vlan of the tag that the frame gets; absent, 0: none */
  #send(datapathId: DatapathId, frame: Uint8Array, ports: readonly number[], vlan = 0): void {
    const tag: Action[] =
      vlan === 0
        ? []
        : [
            { type: 'push_vlan', ethertype: 0x8100 },
            { type: 'set_field', oxm: oxm(F.vlan_vid, VLAN_PRESENT | vlan) },
          ];
    for (let at = 0; at < ports.length; at += MAX_OUTPUTS) {
      const outputs = ports.slice(at, at + MAX_OUTPUTS).map((port) => output(port));
      this.#options.send(datapathId, frame, [...tag, ...outputs]);
    }
  }

  #limited(why: LimitHit, { number }: Segment, { mac }: StationPlace): void {
    const now = this.#now();
    if (now - this.#limitToldAt < LIMIT_LOG_MS) return;
    this.#limitToldAt = now;
    this.#options.logger.warn(
      { event: 'multicast.limit', limit: why, vlan: number, mac },
      `station ${mac} of VLAN ${number} wants to join more multicast groups than are kept (${why}); it gets the rest only while nobody else has joined them`,
    );
  }
}

function sourceOf(frame: Uint8Array): number {
  let mac = 0;
  for (let at = 6; at < 12; at++) mac = mac * 256 + (frame[at] ?? 0);
  return mac;
}
