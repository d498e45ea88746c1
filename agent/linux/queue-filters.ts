/**
 * Filters that choose a class of an HTB by the mark (DSCP) of packets (tc-u32(8)). Open vSwitch makes the HTB and its classes from its
 * database, queue n as class 1:(n + 1); on the userspace datapath it hands packets to the device without their queue, and what they are
 * can only be read from themselves.
 *
 * Outer headers are read: those of tunnels have the mark of the packet inside (`options:tos=inherit`).
 */
import { command, runCommand } from './command.js';

/** Packets with this DSCP (1 to 63) go into this queue. */
export interface QueueMark {
  readonly queue: number;
  readonly mark: number;
}

/** Compares 32 bits at an offset from the network header, which is where u32 begins to count. */
interface Key {
  readonly value: number;
  readonly mask: number;
  readonly at: number;
}

interface Filter {
  readonly protocol: string;
  readonly preference: number;
  readonly flow: string;
  readonly keys: readonly Key[];
}

/** Open vSwitch's name for the root of its HTB. */
const PARENT = '1:';
/** Ours are at these preferences and nowhere else. */
const Preference = { ipv4: 7701, ipv6: 7702, vlan: 7703 } as const;
const OURS: readonly number[] = Object.values(Preference);

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** An IPv4 header begins with version, header length, type of service; an IPv6 header with version, traffic class. */
const ipv4Mark = (mark: number): number => mark << 18;
const IPV4_MARK_MASK = 0x00fc0000;
const ipv6Mark = (mark: number): number => mark << 22;
const IPV6_MARK_MASK = 0x0fc00000;

function filtersOf({ queue, mark }: QueueMark): readonly Filter[] {
  const flow = `${PARENT}${(queue + 1).toString(16)}`;
  const filter = (protocol: string, preference: number, ...keys: Key[]): Filter => ({
    protocol,
    preference,
    flow,
    keys,
  });
  // Of a tagged frame the network header is the tag or, on newer kernels, what follows it. A tag of priority 0, and ours have no
  // other, begins with four bits that no IP header begins with.
  const tag = (etherType: number): Key => ({ value: etherType, mask: 0xf000ffff, at: 0 });
  return [
    filter('ip', Preference.ipv4, { value: ipv4Mark(mark), mask: IPV4_MARK_MASK, at: 0 }),
    filter('ipv6', Preference.ipv6, { value: ipv6Mark(mark), mask: IPV6_MARK_MASK, at: 0 }),
    filter('802.1Q', Preference.vlan, tag(ETHERTYPE_IPV4), {
      value: ipv4Mark(mark),
      mask: IPV4_MARK_MASK,
      at: 4,
    }),
    filter('802.1Q', Preference.vlan, tag(ETHERTYPE_IPV6), {
      value: ipv6Mark(mark),
      mask: IPV6_MARK_MASK,
      at: 4,
    }),
    filter('802.1Q', Preference.vlan, {
      value: 0x40000000 | ipv4Mark(mark),
      mask: 0xf0000000 | IPV4_MARK_MASK,
      at: 0,
    }),
    filter('802.1Q', Preference.vlan, {
      value: 0x60000000 | ipv6Mark(mark),
      mask: 0xf0000000 | IPV6_MARK_MASK,
      at: 0,
    }),
  ];
}

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');

function textOf({ preference, flow, keys }: Filter): string {
  return `${preference} ${flow} ${keys.map(({ value, mask, at }) => `${hex(value)}/${hex(mask)} at ${at}`).join(' ')}`;
}

function addition(device: string, { protocol, preference, flow, keys }: Filter): string {
  const match = keys
    .map(({ value, mask, at }) => `match u32 0x${hex(value)} 0x${hex(mask)} at ${at}`)
    .join(' ');
  return `filter add dev ${device} parent ${PARENT} protocol ${protocol} prio ${preference} u32 ${match} flowid ${flow}`;
}

/** What `tc filter show` tells of our filters, one text for each as `textOf` writes it; and the preferences in use. */
function parseShown(shown: string): { readonly texts: string[]; readonly preferences: ReadonlySet<number> } {
  const filters: { readonly preference: number; readonly flow: string; readonly keys: string[] }[] = [];
  const preferences = new Set<number>();
  for (const line of shown.split('\n')) {
    const preference = /^filter .*\bpref (\d+)\b/.exec(line)?.[1];
    const key = /^\s+match (\S+ at \d+)/.exec(line)?.[1];
    if (preference !== undefined) preferences.add(Number(preference));
    const flow = /\bflowid (\S+)/.exec(line)?.[1];
    // A filter's own line names its flow; those of its table before it do not.
    if (preference !== undefined && flow !== undefined) {
      filters.push({ preference: Number(preference), flow, keys: [] });
    } else if (key !== undefined) filters.at(-1)?.keys.push(key);
  }
  return {
    texts: filters
      .filter(({ preference }) => OURS.includes(preference))
      .map(({ preference, flow, keys }) => `${preference} ${flow} ${keys.join(' ')}`),
    preferences: new Set(OURS.filter((preference) => preferences.has(preference))),
  };
}

/**
 * Makes the filters of a device those of the marks; nothing is done where they are. The device has to have Open vSwitch's HTB. While they
 * are being changed packets may go into queue 0.
 *
 * Rejects with `agent.command.failed`.
 */
export async function ensureQueueFilters(device: string, marks: readonly QueueMark[]): Promise<void> {
  const { stdout } = await runCommand(['tc', 'filter', 'show', 'dev', device, 'parent', PARENT]);
  const { texts, preferences } = parseShown(stdout);
  const wanted = marks.flatMap(filtersOf);
  if (texts.sort().join('\n') === wanted.map(textOf).sort().join('\n')) return;
  const lines = [
    ...[...preferences].map((preference) => `filter del dev ${device} parent ${PARENT} prio ${preference}`),
    ...wanted.map((filter) => addition(device, filter)),
  ];
  await command(['tc', '-batch', '-'], `${lines.join('\n')}\n`);
}

/** Speed of a device in kilobits per second, if it says one. */
export async function linkSpeed(device: string): Promise<number | undefined> {
  const { stdout } = await runCommand(['ethtool', device]);
  const [, megabits] = /Speed: (\d+)Mb\/s/.exec(stdout) ?? [];
  return megabits === undefined ? undefined : Number(megabits) * 1000;
}
