/**
 * Asks endpoints for the groups they are in, where no router does: every switch asks its own, by packet-outs to their ports, since
 * queries do not travel tunnels. Where a network has an uplink, the host of the lowest number asks there too.
 *
 * After a start, and when a switch comes back, receivers that were there before are asked at once and again soon after; so is an
 * endpoint that has just been attached, since what runs in it may have joined while nobody listened.
 */
import type { MulticastGroup, NetworkFact, NetworkId } from '../model/facts.js';
import { Deadlines } from './deadlines.js';
import type { AttachedEndpoint, Directory } from './directory.js';
import type { Elections } from './elections.js';
import { buildIgmpQuery } from './igmp.js';
import { groupText } from './messages.js';
import { buildMldQuery } from './mld.js';
import { multicastSettingsOf } from '../../apps/multicast/settings.js';
import { DEFAULT_TIMING, LAST_MEMBER_INTERVAL_MS } from './timing.js';

/** Who gets a frame: endpoints of one host, and the uplink of their network. */
export interface Recipients {
  readonly host: string;
  readonly endpoints: readonly AttachedEndpoint[];
  /** VLAN id with which it leaves by the uplink; absent: it does not. */
  readonly uplinkTag?: number;
}

export interface QuerierOptions {
  readonly directory: Directory;
  readonly elections: Elections;
  /** The switch of the host is connected. */
  readonly isConnected: (host: string) => boolean;
  /** Sends a frame; where the switch is gone, or has no such port, nothing happens. */
  readonly send: (frame: Uint8Array, recipients: Recipients) => void;
  readonly now: number;
}

/** Source of queries; locally administered, `weft` in its middle. */
export const QUERIER_MAC = 0x027765667401;

/** Milliseconds from a start, and between the queries after it; then the interval of general queries. */
const STARTUP_MS = [500, 8_000, 30_000];
/** A start wants answers soon. */
const STARTUP_RESPONSE_MS = 2_000;

interface Round {
  readonly network: NetworkId;
  readonly host: string;
  /** An endpoint that has just been attached; absent: all of the network on the host. */
  readonly endpoint?: AttachedEndpoint;
  /** Queries of the start that are done. */
  step: number;
}

interface LastMember {
  readonly network: NetworkId;
  readonly group: MulticastGroup;
  left: number;
}

export class Querier {
  readonly #options: QuerierOptions;
  readonly #rounds = new Map<string, Round>();
  readonly #roundDeadlines: Deadlines<string>;
  readonly #lastMembers = new Map<string, LastMember>();
  readonly #lastMemberDeadlines: Deadlines<string>;
  #sent = 0;

  constructor(options: QuerierOptions) {
    this.#options = options;
    this.#roundDeadlines = new Deadlines(options.now);
    this.#lastMemberDeadlines = new Deadlines(options.now);
  }

  /** Queries sent, one for each switch that sent it. */
  get sent(): number {
    return this.#sent;
  }

  /** The switch of a host has (again) connected. */
  connected(host: string, now: number): void {
    const { directory } = this.#options;
    for (const { id } of directory.networks) {
      if (directory.isOn(id, host)) this.start(id, host, now);
    }
  }

  /** Begins to ask the endpoints of a network on a host, as after a start. */
  start(network: NetworkId, host: string, now: number): void {
    const key = roundKey(network, host);
    this.#rounds.set(key, { network, host, step: 0 });
    this.#plan(key, now + (STARTUP_MS[0] as number));
  }

  /** Begins to ask on all hosts of a network. */
  startNetwork(network: NetworkId, now: number): void {
    for (const host of this.#options.directory.hostsOf(network)) this.start(network, host, now);
  }

  /** An endpoint has been attached. */
  arrived(endpoint: AttachedEndpoint, now: number): void {
    const { network, host } = endpoint;
    if (!this.#rounds.has(roundKey(network, host))) {
      this.start(network, host, now);
      return;
    }
    const key = `${roundKey(network, host)} ${endpoint.id}`;
    this.#rounds.set(key, { network, host, endpoint, step: 0 });
    this.#plan(key, now + (STARTUP_MS[0] as number));
  }

  /** Somebody behind the uplink has left a group: asks whether others there are still in it. Returns until when they have time. */
  lastMember(network: Pick<NetworkFact, 'id'>, group: MulticastGroup, now: number): number {
    const key = `${network.id} ${groupText(group)}`;
    const { robustness } = DEFAULT_TIMING;
    if (!this.#lastMembers.has(key)) {
      this.#lastMembers.set(key, { network: network.id, group, left: robustness });
      this.#lastMemberDeadlines.set(key, now);
    }
    return now + robustness * LAST_MEMBER_INTERVAL_MS;
  }

  /** Sends what is due. */
  tick(now: number): void {
    for (const key of this.#roundDeadlines.take(now)) this.#ask(key, now);
    for (const key of this.#lastMemberDeadlines.take(now)) this.#askGroup(key, now);
  }

  #plan(key: string, at: number): void {
    this.#roundDeadlines.delete(key); // it may be sooner or later than it was
    this.#roundDeadlines.set(key, at);
  }

  #ask(key: string, now: number): void {
    const { directory, isConnected } = this.#options;
    const round = this.#rounds.get(key) as Round;
    const network = directory.network(round.network);
    const endpoints = network === undefined ? [] : this.#asked(round);
    if (network === undefined || endpoints.length === 0 || !isConnected(round.host)) {
      this.#rounds.delete(key);
      return;
    }
    const starting = round.step < STARTUP_MS.length;
    const { snooping, querier } = multicastSettingsOf(network);
    if (snooping && querier) {
      const uplinkTag = round.endpoint === undefined ? this.#uplinkTag(network, round.host) : undefined;
      for (const family of [4, 6] as const) {
        if (this.#options.elections.other(network.id, family) !== undefined) continue;
        this.#send(family, undefined, starting ? STARTUP_RESPONSE_MS : DEFAULT_TIMING.responseMs, {
          host: round.host,
          endpoints,
          ...(uplinkTag === undefined ? {} : { uplinkTag }),
        });
      }
    }
    round.step++;
    if (round.endpoint !== undefined && round.step >= STARTUP_MS.length) this.#rounds.delete(key);
    else this.#plan(key, now + (STARTUP_MS[round.step] ?? DEFAULT_TIMING.queryIntervalMs));
  }

  /** Endpoints of a round that are still where they were. */
  #asked({ network, host, endpoint }: Round): AttachedEndpoint[] {
    const { directory } = this.#options;
    if (endpoint === undefined) return [...directory.endpointsOn(network, host)];
    return directory.attached(endpoint.id)?.generation === endpoint.generation ? [endpoint] : [];
  }

  #askGroup(key: string, now: number): void {
    const { directory, elections } = this.#options;
    const asked = this.#lastMembers.get(key) as LastMember;
    const network = directory.network(asked.network);
    const host = network && this.#speaker(network);
    const { group } = asked;
    if (
      network !== undefined &&
      host !== undefined &&
      elections.other(network.id, group.family) === undefined
    ) {
      this.#send(group.family, group, LAST_MEMBER_INTERVAL_MS, {
        host,
        endpoints: [],
        uplinkTag: network.tag,
      });
    }
    asked.left--;
    if (asked.left === 0) this.#lastMembers.delete(key);
    else this.#lastMemberDeadlines.set(key, now + LAST_MEMBER_INTERVAL_MS);
  }

  #send(family: 4 | 6, group: MulticastGroup | undefined, maxResponseMs: number, to: Recipients): void {
    const { robustness, queryIntervalMs: intervalMs } = DEFAULT_TIMING;
    const options = { sourceMac: QUERIER_MAC, maxResponseMs, robustness, intervalMs };
    const frame =
      family === 4
        ? buildIgmpQuery(options, group?.family === 4 ? group.address : undefined)
        : buildMldQuery(options, group?.family === 6 ? group.address : undefined);
    this.#options.send(frame, to);
    this.#sent++;
  }

  #uplinkTag(network: NetworkFact, host: string): number | undefined {
    return this.#speaker(network) === host ? network.tag : undefined;
  }

  /** The host that asks behind the uplink, for all. */
  #speaker(network: NetworkFact): string | undefined {
    if (network.encapsulation !== 'vlan') return undefined;
    const { directory, isConnected } = this.#options;
    let speaker: { readonly name: string; readonly number: number } | undefined;
    for (const name of directory.hostsOf(network.id)) {
      const host = directory.host(name);
      if (host?.uplink === undefined || !isConnected(name)) continue;
      if (speaker === undefined || host.number < speaker.number) speaker = host;
    }
    return speaker?.name;
  }
}

function roundKey(network: NetworkId, host: string): string {
  return `${network} ${host}`;
}
