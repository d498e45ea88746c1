/**
 * Asks the stations of the fabric for the groups they are in, VLAN by VLAN: out of all edge ports of all switches, since any of them may have
 * stations of any VLAN; not those with multicast routers, which get everything.
 *
 * Nobody is left out for not having been asked: a VLAN is *known* when its stations have been asked twice and have had time to answer, those at
 * ports that came up meanwhile included. Until then its multicast is flooded, so a start of the controller cuts nobody off.
 *
 * What is sent is bounded; VLANs wait for their turn.
 */
import type { DatapathId, MulticastGroup } from '../../model/facts.js';
import { Deadlines } from '../deadlines.js';
import { buildIgmpQuery } from '../igmp.js';
import { groupText } from '../messages.js';
import { buildMldQuery } from '../mld.js';
import { QUERIER_MAC } from '../querier.js';
import { DEFAULT_TIMING, LAST_MEMBER_INTERVAL_MS } from '../timing.js';
import { WorkBudget } from '../work-budget.js';
import { type EdgePorts, type PortPlace, portKey } from './edge-ports.js';

export interface FabricQuerierOptions {
  /** False: nobody is asked; somebody else does, or nobody. */
  readonly asks: boolean;
  readonly ports: EdgePorts;
  readonly vlans: () => Iterable<number>;
  readonly isConnected: (datapathId: DatapathId) => boolean;
  /** There is a multicast router at the port. */
  readonly isRouterPort: (vlan: number, place: PortPlace) => boolean;
  /** Somebody else asks, who is to be left to it. */
  readonly hasOther: (vlan: number, family: 4 | 6) => boolean;
  /** Sends a frame without a tag out of ports of a switch, with the tag of a VLAN. */
  readonly send: (datapathId: DatapathId, ports: readonly number[], vlan: number, frame: Uint8Array) => void;
  /** The receivers of a VLAN are known from now on. */
  readonly known: (vlan: number) => void;
  readonly now: number;
}

/** Milliseconds from the start of a VLAN, and between the queries after it; then the interval of general queries. */
const STARTUP_MS = [500, 2_500, 30_000];
/** Queries of the start after which everybody is known who could be: one may be lost, or its answer. */
const ASKED_ENOUGH = 2;
/** A start wants answers soon; and until they are here and looked at. */
const STARTUP_RESPONSE_MS = 2_000;
const ON_THE_WAY_MS = 500;
/** Longest time that a VLAN waits for switches that are away and for ports that come up. */
const LONGEST_WAIT_MS = 20_000;
/** Packets to switches. */
const PACKETS_PER_SECOND = 2_000;
const PACKETS_AT_ONCE = 4_000;

interface Round {
  readonly vlan: number;
  /** Queries that were sent. */
  step: number;
  /** Time from which its receivers are known; absent: not asked enough. */
  knownFrom?: number;
  known: boolean;
}

interface LastMember extends PortPlace {
  readonly vlan: number;
  readonly group: MulticastGroup;
  left: number;
}

export class FabricQuerier {
  readonly #options: FabricQuerierOptions;
  readonly #rounds = new Map<number, Round>();
  readonly #roundDeadlines: Deadlines<number>;
  /** VLANs whose turn has come. */
  readonly #due = new Set<number>();
  /** Ports that came up, by key; how often they are still to be asked. */
  readonly #fresh = new Map<string, { readonly place: PortPlace; left: number }>();
  readonly #freshDeadlines: Deadlines<string>;
  /** Until when stations at ports that came up may answer. */
  #freshUntil = 0;
  readonly #lastMembers = new Map<string, LastMember>();
  readonly #lastMemberDeadlines: Deadlines<string>;
  readonly #budget: WorkBudget;
  #sent = 0;

  constructor(options: FabricQuerierOptions) {
    const { now } = options;
    this.#options = options;
    this.#roundDeadlines = new Deadlines(now);
    this.#freshDeadlines = new Deadlines(now);
    this.#lastMemberDeadlines = new Deadlines(now);
    this.#budget = new WorkBudget(PACKETS_PER_SECOND, PACKETS_AT_ONCE, now);
  }

  /** Queries sent, one for each switch that sent it. */
  get sent(): number {
    return this.#sent;
  }

  /** Its receivers are known. */
  isKnown(vlan: number): boolean {
    return this.#rounds.get(vlan)?.known === true;
  }

  /** A VLAN has stations. */
  start(vlan: number, now: number): void {
    this.#rounds.set(vlan, { vlan, step: 0, known: false });
    this.#plan(vlan, now + (STARTUP_MS[0] as number));
  }

  /** It has none any more. */
  stop(vlan: number): void {
    this.#rounds.delete(vlan);
    this.#roundDeadlines.delete(vlan);
    this.#due.delete(vlan);
  }

  /** Nobody else asks any more. */
  resume(vlan: number, now: number): void {
    const round = this.#rounds.get(vlan);
    if (round === undefined) return;
    round.step = 0;
    this.#plan(vlan, now + (STARTUP_MS[0] as number));
  }

  /**
   * Those at a port may be others than before: it has come up, or its switch has, or somebody has moved there. Returns until when they have time
   * to answer.
   */
  portUp(place: PortPlace, now: number): number {
    const key = portKey(place);
    this.#fresh.set(key, { place, left: ASKED_ENOUGH });
    this.#freshDeadlines.delete(key);
    this.#freshDeadlines.set(key, now + (STARTUP_MS[0] as number));
    const [first = 0, second = 0] = STARTUP_MS;
    const until = now + first + second + STARTUP_RESPONSE_MS + ON_THE_WAY_MS;
    this.#freshUntil = Math.max(this.#freshUntil, until);
    return until;
  }

  /** Somebody at a port has left a group: asks whether others there are still in it. Returns until when they have time. */
  lastMember(vlan: number, group: MulticastGroup, { datapathId, port }: PortPlace, now: number): number {
    const key = `${vlan} ${groupText(group)} ${datapathId} ${port}`;
    const { robustness } = DEFAULT_TIMING;
    if (!this.#lastMembers.has(key)) {
      this.#lastMembers.set(key, { vlan, group, datapathId, port, left: robustness });
      this.#lastMemberDeadlines.set(key, now);
    }
    return now + robustness * LAST_MEMBER_INTERVAL_MS + ON_THE_WAY_MS;
  }

  /** Sends what is due. */
  tick(now: number): void {
    for (const key of this.#lastMemberDeadlines.take(now)) this.#askGroup(key, now);
    this.#askFresh(this.#freshDeadlines.take(now), now);
    for (const vlan of this.#roundDeadlines.take(now)) this.#due.add(vlan);
    for (const vlan of this.#due) {
      if (!this.#budget.has(now)) break;
      this.#due.delete(vlan);
      this.#askVlan(vlan, now);
    }
    for (const round of this.#rounds.values()) {
      if (round.known || round.knownFrom === undefined || now < round.knownFrom) continue;
      if (now < round.knownFrom + LONGEST_WAIT_MS && (now < this.#freshUntil || this.#somebodyIsAway()))
        continue;
      round.known = true;
      this.#options.known(round.vlan);
    }
  }

  #plan(vlan: number, at: number): void {
    this.#roundDeadlines.delete(vlan); // it may be sooner or later than it was
    this.#roundDeadlines.set(vlan, at);
  }

  #askVlan(vlan: number, now: number): void {
    const { asks, hasOther, ports } = this.#options;
    const round = this.#rounds.get(vlan);
    if (round === undefined) return;
    const starting = round.step < STARTUP_MS.length;
    if (asks) {
      const responseMs = starting ? STARTUP_RESPONSE_MS : DEFAULT_TIMING.responseMs;
      for (const family of [4, 6] as const) {
        if (round.step >= ASKED_ENOUGH && hasOther(vlan, family)) continue;
        const frame = queryFrame(family, undefined, responseMs);
        for (const datapathId of ports.switches) this.#send(datapathId, ports.of(datapathId), vlan, frame);
      }
    }
    round.step++;
    // Where somebody else asks, if anybody does, it may just have done so.
    const quietMs = asks
      ? STARTUP_RESPONSE_MS + ON_THE_WAY_MS
      : DEFAULT_TIMING.queryIntervalMs + DEFAULT_TIMING.responseMs;
    if (round.step >= ASKED_ENOUGH) round.knownFrom ??= now + quietMs;
    this.#plan(vlan, now + (STARTUP_MS[round.step] ?? DEFAULT_TIMING.queryIntervalMs));
  }

  /** Ports that came up together are asked together. */
  #askFresh(keys: readonly string[], now: number): void {
    const { asks, ports, vlans } = this.#options;
    const asked = new Map<DatapathId, number[]>();
    for (const key of keys) {
      const fresh = this.#fresh.get(key);
      if (fresh === undefined) continue;
      const { datapathId, port } = fresh.place;
      if (!this.#budget.has(now)) {
        this.#freshDeadlines.set(key, now + 1);
        continue;
      }
      const isThere = asks && ports.has(fresh.place);
      if (isThere) asked.set(datapathId, [...(asked.get(datapathId) ?? []), port]);
      fresh.left--;
      if (fresh.left === 0 || !isThere) this.#fresh.delete(key);
      else this.#freshDeadlines.set(key, now + (STARTUP_MS[1] as number));
    }
    if (asked.size === 0) return;
    for (const family of [4, 6] as const) {
      const frame = queryFrame(family, undefined, STARTUP_RESPONSE_MS);
      for (const [datapathId, here] of asked) {
        for (const vlan of vlans()) this.#send(datapathId, here, vlan, frame);
      }
    }
  }

  #askGroup(key: string, now: number): void {
    const asked = this.#lastMembers.get(key);
    if (asked === undefined) return;
    const { vlan, group, datapathId, port } = asked;
    this.#send(datapathId, [port], vlan, queryFrame(group.family, group, LAST_MEMBER_INTERVAL_MS));
    asked.left--;
    if (asked.left === 0) this.#lastMembers.delete(key);
    else this.#lastMemberDeadlines.set(key, now + LAST_MEMBER_INTERVAL_MS);
  }

  #send(datapathId: DatapathId, ports: Iterable<number>, vlan: number, frame: Uint8Array): void {
    const { isConnected, isRouterPort, send } = this.#options;
    if (!isConnected(datapathId)) return;
    const asked = [...ports].filter((port) => !isRouterPort(vlan, { datapathId, port }));
    if (asked.length === 0) return;
    this.#budget.spend(1);
    this.#sent++;
    send(datapathId, asked, vlan, frame);
  }

  /** A switch with stations, which cannot be asked. */
  #somebodyIsAway(): boolean {
    for (const datapathId of this.#options.ports.switches) {
      if (!this.#options.isConnected(datapathId)) return true;
    }
    return false;
  }
}

function queryFrame(family: 4 | 6, group: MulticastGroup | undefined, maxResponseMs: number): Uint8Array {
  const { robustness, queryIntervalMs: intervalMs } = DEFAULT_TIMING;
  const options = { sourceMac: QUERIER_MAC, maxResponseMs, robustness, intervalMs };
  return family === 4
    ? buildIgmpQuery(options, group?.family === 4 ? group.address : undefined)
    : buildMldQuery(options, group?.family === 6 ? group.address : undefined);
}
