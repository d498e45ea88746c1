/** Receivers and routers as the journal keeps them. What cannot be read is undefined. */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../ofproto/index.js';
import type { MulticastGroup, MulticastReceiverFact, NetworkId } from '../model/facts.js';
import type { JournalValue } from '../journal/journal.js';
import { groupText, isMulticast, type MembershipVersion, type Sources } from './messages.js';
import type { WantedSources } from './source-filter.js';

/** A fact, and what tells whether it still holds after a restart. */
export interface ReceiverRecord extends MulticastReceiverFact {
  readonly version: MembershipVersion;
  /** Of the attachment of its endpoint. */
  readonly generation?: number;
}

export function serializeReceiver(record: ReceiverRecord): JournalValue {
  const { network, group, groupNumber, place, version, generation, sources } = record;
  return {
    network,
    group: groupText(group),
    groupNumber,
    version,
    ...('endpoint' in place ? { endpoint: place.endpoint } : {}),
    ...(generation === undefined ? {} : { generation }),
    ...(sources === undefined
      ? {}
      : { mode: sources.mode, sources: [...sources.addresses].map(addressText) }),
  };
}

export function parseReceiver(value: JournalValue): ReceiverRecord | undefined {
  if (!isObject(value)) return undefined;
  const { network, groupNumber, version, endpoint, generation } = value;
  const group = typeof value.group === 'string' ? parseGroup(value.group) : undefined;
  if (group === undefined || typeof network !== 'string' || typeof groupNumber !== 'number') return undefined;
  if (version !== 1 && version !== 2 && version !== 3) return undefined;
  const sources = parseSources(value, group.family);
  if (sources === 'unreadable') return undefined;
  return {
    network,
    group,
    groupNumber,
    version,
    place: typeof endpoint === 'string' ? { endpoint } : { uplink: true },
    ...(typeof generation === 'number' ? { generation } : {}),
    ...(sources === undefined ? {} : { sources }),
  };
}

export interface RouterRecord {
  readonly network: NetworkId;
}

export function parseRouter(value: JournalValue): RouterRecord | undefined {
  return isObject(value) && typeof value.network === 'string' ? { network: value.network } : undefined;
}

function isObject(value: JournalValue): value is { readonly [member: string]: JournalValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function parseGroup(text: string): MulticastGroup | undefined {
  const family = text.includes(':') ? 6 : 4;
  const address = parseAddress(text, family);
  if (address === undefined || !isMulticast(family, address)) return undefined;
  return { family, address } as MulticastGroup;
}

function parseSources(
  { mode, sources }: { readonly [member: string]: JournalValue },
  family: 4 | 6,
): WantedSources | undefined | 'unreadable' {
  if (mode === undefined) return undefined;
  if ((mode !== 'include' && mode !== 'exclude') || !Array.isArray(sources)) return 'unreadable';
  const addresses = (sources as readonly JournalValue[]).map((source) =>
    typeof source === 'string' ? parseAddress(source, family) : undefined,
  );
  if (addresses.length === 0 || addresses.includes(undefined)) return 'unreadable';
  return { mode, addresses: addresses as unknown as Sources };
}

export function addressText(address: number | bigint): string {
  return typeof address === 'number' ? formatIpv4(address) : formatIpv6(address);
}

function parseAddress(text: string, family: 4 | 6): number | bigint | undefined {
  try {
    return family === 4 ? parseIpv4(text) : parseIpv6(text);
  } catch {
    return undefined;
  }
}
