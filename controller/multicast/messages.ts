/**
 * Messages of group membership, IGMP (RFC 1112, 2236, 3376) and MLD (RFC 2710, 3810) alike: MLD is IGMP for IPv6, and older reports say
 * what a record of a newer one can say. Pure types, and how an address of either family is handled.
 */
import { formatIpv4, formatIpv6 } from '../../ofproto/index.js';
import type { MulticastGroup } from '../model/facts.js';

/** Types of group records, by their number from 1 (RFC 3376, section 4.2.12; RFC 3810, section 5.2.12). */
export const RECORD_TYPES = [
  'is-include',
  'is-exclude',
  'to-include',
  'to-exclude',
  'allow',
  'block',
] as const;
export type RecordType = (typeof RECORD_TYPES)[number];

/** Addresses of the family of the group they are for. */
export type Sources = readonly number[] | readonly bigint[];

/** What one receiver says of one group. */
export interface GroupRecord {
  readonly type: RecordType;
  readonly group: MulticastGroup;
  /** Ascending, without repetition. */
  readonly sources: Sources;
}

/** IGMPv1, v2, v3; MLDv1 and v2. */
export type MembershipVersion = 1 | 2 | 3;

/** IGMPv3 and MLDv2. */
export function newestVersion(family: 4 | 6): MembershipVersion {
  return family === 4 ? 3 : 2;
}

export interface Report {
  readonly kind: 'report';
  readonly family: 4 | 6;
  /** An older report is one `is-exclude` record without sources; a leave (done) one `to-include` without sources. */
  readonly version: MembershipVersion;
  readonly records: readonly GroupRecord[];
}

export interface Query {
  readonly kind: 'query';
  readonly family: 4 | 6;
  readonly version: MembershipVersion;
  /** Absent: a general query. */
  readonly group?: MulticastGroup;
  /** Milliseconds within which receivers answer. */
  readonly maxResponseMs: number;
  /** The next three are of IGMPv3 and MLDv2. Routers are not to change timers (the S flag). */
  readonly suppress: boolean;
  /** Querier's robustness variable; 0: not said. */
  readonly robustness: number;
  /** Milliseconds between general queries of this querier; 0: not said. */
  readonly intervalMs: number;
  readonly sources: Sources;
}

/** A router says that it is there (RFC 7761, section 4.3). */
export interface Hello {
  readonly kind: 'hello';
  readonly family: 4 | 6;
  /** Milliseconds for which it is to be believed; 0: it goes away. */
  readonly holdMs: number;
}

/** Why a message is not looked at. */
export type Ignored =
  /** Neither IGMP, MLD nor PIM, or of a type that nobody needs here. */
  | 'other'
  | 'truncated'
  | 'fragment'
  | 'checksum'
  /** Not sent on the link: its TTL or hop limit is not 1. */
  | 'hop-limit'
  /** MLD from an address that is not link-local. */
  | 'source'
  /** Not to where such messages go. */
  | 'destination'
  /** It contradicts itself. */
  | 'malformed';

export type MembershipMessage = (Report | Query | Hello) & {
  /** IP address of the sender; 0: it has none yet. */
  readonly source: number | bigint;
  readonly sourceMac: number;
};

export type Parsed<T> = T | { readonly kind: 'ignored'; readonly why: Ignored };

export function ignored(why: Ignored): { readonly kind: 'ignored'; readonly why: Ignored } {
  return { kind: 'ignored', why };
}

/** `239.1.1.1`, `ff05::1`: a group in keys and for people. */
export function groupText(group: MulticastGroup): string {
  return group.family === 4 ? formatIpv4(group.address) : formatIpv6(group.address);
}

/** Ascending and without repetition, as facts want them. */
export function sortedSources<A extends number | bigint>(sources: Iterable<A>): A[] {
  return [...new Set(sources)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/**
 * Groups that never leave their link, and are always flooded (RFC 4541, sections 2.1.2 and 3): 224.0.0.0/24; ff00::/16 to ff02::/16 and their
 * like with flags.
 */
export function isLinkLocal(group: MulticastGroup): boolean {
  return group.family === 4
    ? group.address >>> 8 === 0xe00000
    : Number((group.address >> 112n) & 0xfn) <= LINK_LOCAL_SCOPE;
}

const LINK_LOCAL_SCOPE = 2;

export function isMulticast(family: 4 | 6, address: number | bigint): boolean {
  return family === 4 ? Number(address) >>> 28 === 0xe : BigInt(address) >> 120n === 0xffn;
}

/** That an address is one that somebody can send from. */
export function isSource(family: 4 | 6, address: number | bigint): boolean {
  if (family === 6) return BigInt(address) > 1n && !isMulticast(6, address);
  const first = Number(address) >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}
