/** Protocols and ports as people write them in rules and for endpoints. */
import type { NamedPort, Service } from './facts.js';
import { PORT_NAME_PATTERN } from './intent-schema.js';
import type { RuleIntent } from './policy-intents.js';

export const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
  sctp: 132,
};
const NAMES = new Map(Object.entries(PROTOCOLS).map(([name, number]) => [number, name]));

export const ICMP = 1;
export const ICMPV6 = 58;
const WITH_PORTS = new Set([6, 17, 132]);

/** Undefined when it is none. */
export function parseProtocol(value: string | number): number | undefined {
  if (typeof value === 'string' && !/^[0-9]{1,3}$/.test(value)) return PROTOCOLS[value.toLowerCase()];
  const number = Number(value);
  return number <= 255 ? number : undefined;
}

export const formatProtocol = (protocol: number): string => NAMES.get(protocol) ?? String(protocol);

export const hasPorts = (protocol: number | undefined): boolean =>
  protocol !== undefined && WITH_PORTS.has(protocol);

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** A port, a range `8000-8010`, or a name; the reason as text in `wrong` when it is none. */
export function parsePort(
  value: number | string,
): PortRange | { readonly name: string } | { readonly wrong: string } {
  const text = String(value).trim();
  const match = /^([0-9]{1,6})(?:\s*-\s*([0-9]{1,6}))?$/.exec(text);
  if (match === null) {
    return new RegExp(PORT_NAME_PATTERN).test(text)
      ? { name: text }
      : { wrong: `"${text}" is neither a port, a range nor a name` };
  }
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  if (first > last) return { wrong: `"${text}" runs backwards` };
  return first < 1 || last > 65_535 ? { wrong: `"${text}" is outside of 1-65535` } : { first, last };
}

/** `8080` is TCP, `53/udp`; undefined when it is none. */
export function parseNamedPort(value: number | string): NamedPort | undefined {
  const match = /^([0-9]{1,5})(?:\/(tcp|udp|sctp))?$/i.exec(String(value).trim());
  if (match === null) return undefined;
  const port = Number(match[1]);
  if (port < 1 || port > 65_535) return undefined;
  return { protocol: PROTOCOLS[(match[2] ?? 'tcp').toLowerCase()] as number, port };
}

/** What a checked rule says of protocol and ports; empty: anything. */
export function servicesOf({ protocol, ports, icmpType, icmpCode }: RuleIntent): Service[] {
  const number = protocol === undefined ? undefined : parseProtocol(protocol);
  if (number === undefined) return [];
  const ranges: PortRange[] = [];
  const portNames: string[] = [];
  for (const port of (ports ?? []).map(parsePort)) {
    if ('first' in port) ranges.push(port);
    else if ('name' in port) portNames.push(port.name);
  }
  return [
    {
      protocol: number,
      ...(ranges.length === 0 ? {} : { ports: joinRanges(ranges) }),
      ...(portNames.length === 0 ? {} : { portNames: [...new Set(portNames)].sort() }),
      ...(icmpType === undefined ? {} : { icmpType }),
      ...(icmpCode === undefined ? {} : { icmpCode }),
    },
  ];
}

/** In ascending order, without overlaps. */
export function joinRanges(ranges: readonly PortRange[]): PortRange[] {
  const joined: { first: number; last: number }[] = [];
  for (const { first, last } of [...ranges].sort((a, b) => a.first - b.first)) {
    const previous = joined.at(-1);
    if (previous !== undefined && first <= previous.last + 1) previous.last = Math.max(previous.last, last);
    else joined.push({ first, last });
  }
  return joined;
}

/** `tcp 80,8000-8010,http`, `icmp type 8`; `any` for none. */
export function formatServices(services: readonly Service[]): string {
  if (services.length === 0) return 'any';
  return services
    .map(({ protocol, ports = [], portNames = [], icmpType, icmpCode }) =>
      [
        formatProtocol(protocol),
        [
          ...ports.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)),
          ...portNames,
        ].join(','),
        icmpType === undefined ? '' : `type ${icmpType}`,
        icmpCode === undefined ? '' : `code ${icmpCode}`,
      ]
        .filter(Boolean)
        .join(' '),
    )
    .join(', ');
}
