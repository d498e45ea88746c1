/** `weft watch drops`, `weft get drops`, `weft get rules --stats`: what policies and the rest of the pipeline do to packets. */
import type {
  DropCounter,
  Gathered,
  PacketEnd,
  PacketEvent,
  RuleCounters,
} from '../../controller/punt/types.js';
import type { Client } from '../client.js';
import { CommandError, Exit } from '../exit.js';
import { formatTime, note, plural, table, writeJson, writeLine } from '../output.js';
import { follow } from './watch.js';

export interface WatchPacketsOptions {
  readonly json: boolean;
  /** Those that a rule lets pass and logs, too. */
  readonly allows: boolean;
  readonly tenant?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly count?: number | undefined;
}

export async function watchPackets(
  client: Client,
  { json, allows, tenant, endpoint, count = Infinity }: WatchPacketsOptions,
): Promise<Exit> {
  const query = new URLSearchParams({ types: 'packet' });
  if (!allows) query.set('verdict', 'deny,reject');
  if (tenant !== undefined) query.set('tenant', tenant);
  if (endpoint !== undefined) query.set('endpoint', endpoint);
  return await follow(client, `/v1/watch?${query.toString()}`, count, ({ event, data }) => {
    if (event === 'lost') {
      const { packets } = JSON.parse(data) as { packets: number };
      if (json) writeLine(JSON.stringify({ type: event, packets }));
      else note(`weft: ${plural(packets, 'packet')} not shown: there were too many`);
      return false;
    }
    if (event !== 'packet') return false;
    const packet = JSON.parse(data) as PacketEvent;
    writeLine(json ? JSON.stringify({ type: event, ...packet }) : packetLine(packet));
    return true;
  });
}

/** `2026-11-24T08:00:00Z  deny in  tcp SYN  acme/web/a 10.1.1.1:40000 -> acme/web/b 10.1.1.2:80  by acme/p/no-http on h2  x12` */
export function packetLine(packet: PacketEvent): string {
  const { time, verdict, direction, source, destination, count, host, datapathId } = packet;
  const parts = [
    formatTime(time),
    `${verdict.padEnd(6)} ${direction.padEnd(3)}`,
    protocolText(packet),
    `${endText(source)} -> ${endText(destination)}`,
    `by ${deciderText(packet)} on ${host ?? datapathId}`,
  ];
  if (count > 1) parts.push(`x${count}`);
  return parts.join('  ');
}

function protocolText({ protocol, tcpFlags, icmp, fragment, answer }: PacketEvent): string {
  return [
    protocol,
    tcpFlags ?? '',
    icmp === undefined ? '' : `type ${icmp.type} code ${icmp.code}`,
    fragment === true ? 'fragment' : '',
    answer === true ? '(answer)' : '',
  ]
    .filter((part) => part !== '')
    .join(' ');
}

function endText({ endpoint, address, mac, port }: PacketEnd): string {
  const where = address ?? mac;
  const withPort =
    port === undefined || where === undefined
      ? where
      : where.includes(':')
        ? `[${where}]:${port}`
        : `${where}:${port}`;
  return [endpoint, withPort].filter((part) => part !== undefined).join(' ') || 'unknown';
}

function deciderText({ rule, policy, tenant, default: whose }: PacketEvent): string {
  if (rule !== undefined) return rule;
  if (whose === 'policy') return `default of policy ${policy ?? 'unknown'}`;
  return `default of tenant ${tenant ?? 'unknown'}`;
}

export interface GetDropsOptions {
  readonly json: boolean;
  readonly all: boolean;
  readonly tenant?: string | undefined;
}

/** @param about names of hosts and of endpoints; none: everything */
export async function getDrops(
  client: Client,
  about: readonly string[],
  { json, all, tenant }: GetDropsOptions,
): Promise<Exit> {
  const questions =
    about.length === 0
      ? [{}]
      : about.map((name) => (name.includes('/') ? { endpoint: name } : { host: name }));
  const answers = await Promise.all(
    questions.map((question) =>
      client.get<Gathered<DropCounter>>('/v1/drops', { query: { ...question, tenant, all } }),
    ),
  );
  const items = answers.flatMap((answer) => answer.items);
  const silent = answers[0]?.silent ?? [];
  if (json) {
    writeJson({ items, silent });
    return Exit.ok;
  }
  writeLine(items.length === 0 ? 'none' : dropTable(items));
  noteSilent(silent);
  return Exit.ok;
}

/** The most packets first. */
export function dropTable(drops: readonly DropCounter[]): string {
  const sorted = [...drops].sort((a, b) => b.packets - a.packets || (a.cause < b.cause ? -1 : 1));
  return table(
    ['packets', 'bytes', 'host', 'table', 'about', 'cause'],
    sorted.map((drop) => [
      drop.packets,
      drop.bytes,
      drop.host ?? drop.datapathId,
      drop.table,
      drop.endpoint ?? drop.rule ?? drop.policy ?? drop.network ?? drop.tenant,
      drop.countedAgain === true ? `${drop.text} (sender: table spoofed)` : drop.text,
    ]),
  );
}

export interface RuleStatsOptions {
  readonly json: boolean;
  readonly tenant?: string | undefined;
}

/** @param kindWord as it was written: rules are the only objects with counters. @param names of rules or policies; none: all */
export async function getRuleStats(
  client: Client,
  kindWord: string,
  names: readonly string[],
  { json, tenant }: RuleStatsOptions,
): Promise<Exit> {
  if (!/^rules?$/i.test(kindWord)) {
    const text = `${kindWord} have no statistics\n  fix: weft get rules --stats`;
    throw new CommandError(Exit.usage, text, { code: 'usage.stats' });
  }
  const answer = await client.get<Gathered<RuleCounters>>('/v1/stats/rules', { query: { tenant } });
  const wanted = ({ name }: RuleCounters): boolean =>
    names.length === 0 || names.some((one) => name === one || name.startsWith(`${one}/`));
  const items = answer.items.filter(wanted);
  if (json) {
    writeJson({ items, silent: answer.silent });
    return Exit.ok;
  }
  const rows = items.map(({ name, kind, direction, packets, bytes, connections, switches }) => [
    kind === 'rule' ? name : `${name} (default)`,
    direction,
    connections,
    packets,
    bytes,
    switches,
  ]);
  const headings = ['rule', 'direction', 'connections', 'packets', 'bytes', 'switches'];
  writeLine(rows.length === 0 ? 'none' : table(headings, rows));
  noteSilent(answer.silent);
  return Exit.ok;
}

function noteSilent(silent: Gathered<unknown>['silent']): void {
  for (const { host, datapathId, reason } of silent) {
    note(`weft: nothing from the switch of ${host ?? datapathId}: ${reason}`);
  }
}
