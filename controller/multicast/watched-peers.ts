/**
 * Whose tunnels each host is to watch (BFD, done by its switch and told by its agent): its neighbours on the distribution trees in use.
 * Nobody watches tunnels that no tree needs: head-end replication does not depend on what other hosts do. A host that is down is in no tree;
 * its last neighbours go on watching it, or nobody would see it come back.
 */
import type { DistributionFact, FactChange, HostFact } from '../model/facts.js';
import { formatIpv4, formatIpv6 } from '../../ofproto/index.js';

/** What a host is told of a peer. */
export interface WatchedPeer {
  readonly host: string;
  /** As text, of a family that both have. */
  readonly vtepIp: string;
}

type Edge = readonly [number, number];

/** Peers of one host; of more neighbours those with the least numbers are watched (as the hub's protocol allows). */
const MAX_PEERS = 64;

export class WatchedPeers {
  readonly #hosts = new Map<number, HostFact>();
  readonly #numbers = new Map<string, number>();
  /** Neighbours by distribution, as they were counted. */
  readonly #edges = new Map<string, readonly Edge[]>();
  /** For each host how many trees have an edge to each neighbour. */
  readonly #neighbours = new Map<number, Map<number, number>>();
  /** Hosts that are down, with the edges to them that are kept until they are up. */
  readonly #down = new Map<number, Edge[]>();
  readonly #changed = new Set<number>();

  /** @param onChange the peers of a host may be others now; called once for what changes in one turn of the event loop */
  constructor(private readonly onChange: (host: string) => void) {}

  facts(changes: readonly FactChange[]): void {
    for (const { kind, key, value } of changes) {
      if (kind !== 'host') continue;
      const number = value?.number ?? this.#numbers.get(key);
      if (number === undefined) continue;
      if (value === undefined) {
        this.hostDown(key, false);
        this.#hosts.delete(number);
        this.#numbers.delete(key);
      } else {
        this.#hosts.set(number, value);
        this.#numbers.set(key, number);
      }
      // Its address may be another one; it may have just got its name.
      for (const neighbour of this.#neighbours.get(number)?.keys() ?? []) this.#tell(neighbour);
      this.#tell(number);
    }
  }

  /** `fact` absent: senders replicate. */
  distribution(key: string, fact: DistributionFact | undefined): void {
    const before = this.#edges.get(key) ?? [];
    const tree = fact?.trees.find(({ colour }) => colour === fact.sending);
    const after = tree?.edges ?? [];
    if (before === after) return;
    for (const edge of after) this.#count(edge, 1);
    for (const edge of before) {
      const kept = this.#down.get(edge[0]) ?? this.#down.get(edge[1]);
      if (kept === undefined) this.#count(edge, -1);
      else kept.push(edge);
    }
    if (after.length === 0) this.#edges.delete(key);
    else this.#edges.set(key, after);
  }

  /** A host is down, or up again. */
  hostDown(name: string, down: boolean): void {
    const number = this.#numbers.get(name);
    if (number === undefined || this.#down.has(number) === down) return;
    if (down) {
      this.#down.set(number, []);
      return;
    }
    for (const edge of this.#down.get(number) ?? []) this.#count(edge, -1);
    this.#down.delete(number);
  }

  /** Whom the host is to watch, by number. */
  peers(name: string): readonly WatchedPeer[] {
    const own = this.#hosts.get(this.#numbers.get(name) ?? -1);
    if (own === undefined) return [];
    return [...(this.#neighbours.get(own.number)?.keys() ?? [])]
      .sort((a, b) => a - b)
      .flatMap((number) => {
        const peer = this.#hosts.get(number);
        const vtepIp = peer === undefined ? undefined : addressOf(own, peer);
        return peer === undefined || vtepIp === undefined ? [] : [{ host: peer.name, vtepIp }];
      })
      .slice(0, MAX_PEERS);
  }

  #count([a, b]: Edge, by: 1 | -1): void {
    for (const [host, neighbour] of [
      [a, b],
      [b, a],
    ] as const) {
      const neighbours = this.#neighbours.get(host) ?? new Map<number, number>();
      this.#neighbours.set(host, neighbours);
      const trees = (neighbours.get(neighbour) ?? 0) + by;
      if (trees > 0) neighbours.set(neighbour, trees);
      else neighbours.delete(neighbour);
      if (neighbours.size === 0) this.#neighbours.delete(host);
      this.#tell(host);
    }
  }

  #tell(number: number): void {
    if (this.#changed.size === 0) {
      queueMicrotask(() => {
        const changed = [...this.#changed];
        this.#changed.clear();
        for (const each of changed) {
          const host = this.#hosts.get(each);
          if (host !== undefined) this.onChange(host.name);
        }
      });
    }
    this.#changed.add(number);
  }
}

/** The address of `peer` that `own` sends to; IPv4 where both have both, as tunnels do. */
function addressOf(own: HostFact, peer: HostFact): string | undefined {
  if (own.vtepIpv4 !== undefined && peer.vtepIpv4 !== undefined) return formatIpv4(peer.vtepIpv4);
  if (own.vtepIpv6 !== undefined && peer.vtepIpv6 !== undefined) return formatIpv6(peer.vtepIpv6);
  return undefined;
}
