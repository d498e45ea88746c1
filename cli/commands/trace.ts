/** `weft trace`. */
import type {
  TraceLeg,
  TraceReport,
  TraceRequest,
  TraceStep,
  TraceVisit,
} from '../../controller/trace/report.js';
import type { Client } from '../client.js';
import { CommandError, Exit } from '../exit.js';
import { readIntentFiles } from '../intent-files.js';
import type { IcmpMessage } from '../options.js';
import { plural, writeJson, writeLine } from '../output.js';

export interface TraceOptions {
  readonly from: string;
  readonly to: string;
  readonly tcp?: number | undefined;
  readonly udp?: number | undefined;
  readonly sctp?: number | undefined;
  /** True: without a type. */
  readonly icmp?: IcmpMessage | true | undefined;
  readonly protocol?: number | undefined;
  readonly sourcePort?: number | undefined;
  readonly ipv6: boolean;
  /** Intents, in which the line of what decides is looked for. */
  readonly file: readonly string[];
  /** Tables too that have nothing to say of the packet. */
  readonly all: boolean;
  readonly json: boolean;
}

const ANSWER_TIMEOUT_MS = 60_000;

export async function trace(client: Client, options: TraceOptions): Promise<Exit> {
  const files = await readIntentFiles(options.file);
  const answer = await client.get<TraceReport>('/v1/trace', {
    query: { ...requestOf(options) },
    timeoutMs: ANSWER_TIMEOUT_MS,
  });
  const report = files.length === 0 ? answer : (await import('../intent-lines.js')).withLines(answer, files);
  if (options.json) writeJson(report);
  else writeReport(report, options.all);
  return report.outcome === 'allowed' ? Exit.ok : Exit.notAllowed;
}

function requestOf(options: TraceOptions): TraceRequest {
  const { from, to, tcp, udp, sctp, icmp, protocol, sourcePort, ipv6 } = options;
  const asked = Object.entries({ tcp, udp, sctp, icmp, protocol }).filter(([, value]) => value !== undefined);
  if (asked.length > 1) {
    throw new CommandError(
      Exit.usage,
      `--${asked.map(([name]) => name).join(' and --')}: a packet has one protocol\n  fix: leave all but one out`,
    );
  }
  const port = tcp ?? udp ?? sctp;
  const [name] = asked[0] ?? ['icmp'];
  return {
    from,
    to,
    protocol: protocol === undefined ? name : String(protocol),
    ...(ipv6 ? { family: 6 } : {}),
    ...(port === undefined ? {} : { port }),
    ...(sourcePort === undefined ? {} : { sourcePort }),
    ...(typeof icmp === 'object' ? { icmpType: icmp.type, icmpCode: icmp.code } : {}),
  };
}

function writeReport(report: TraceReport, all: boolean): void {
  const { request, reply, differences, verdict } = report;
  writeLeg('request', request, all);
  if (reply !== undefined) {
    writeLine();
    writeLeg('answer', reply, all);
  }
  for (const { host, examples, ...counts } of differences) {
    const found = Object.entries(counts).filter(([, count]) => count > 0);
    writeLine(
      `\n${host} does not hold what it should: ${found.map(([kind, count]) => `${count} ${kind}`).join(', ')}`,
    );
    for (const example of examples) writeLine(`  ${example}`);
  }
  writeLine(`\n${verdict}`);
}

function writeLeg(name: string, { packet, visits, decisions }: TraceLeg, all: boolean): void {
  writeLine(`${name}: ${packet}`);
  for (const visit of visits) writeVisit(visit, all);
  if (decisions.length > 0) writeLine(`\n${name} judged:`);
  for (const { host, direction, action, because, intent, file, line } of decisions) {
    const at = file === undefined ? intent : `${file}:${line}`;
    const side = direction === 'out' ? 'sent' : 'received';
    writeLine(`  ${action} on ${host}, ${side}: ${because}${at === undefined ? '' : `, ${at}`}`);
  }
}

/** A table's own miss that only leads on. */
function isSilent({ owner, entry, remarks }: TraceStep): boolean {
  return (
    owner?.startsWith('pipeline.miss ') === true &&
    entry?.includes('goto_table') === true &&
    remarks.length === 0
  );
}

function writeVisit(
  { host, arrival, connection, unseen, steps, departures }: TraceVisit,
  all: boolean,
): void {
  writeLine(`\n${host}: in by ${arrival}, connection ${connection}`);
  if (unseen !== undefined) writeLine(`  ${unseen}`);
  const told = all ? steps : steps.filter((step) => !isSilent(step));
  for (const { depth, table, cause, entry, owner, conjunction, remarks } of told) {
    const indent = '  '.repeat(depth + 1);
    writeLine(`${indent}${table}${cause === undefined ? '' : ` (${cause})`}: ${entry ?? 'no entry matches'}`);
    if (owner !== undefined) writeLine(`${indent}  from ${owner}`);
    if (conjunction !== undefined) {
      writeLine(
        `${indent}  by ${plural(conjunction.length, 'entry').replace('entrys', 'entries')} of a conjunctive match:`,
      );
      for (const part of conjunction) writeLine(`${indent}    ${part}`);
    }
    for (const remark of remarks) writeLine(`${indent}  ${remark}`);
  }
  for (const { to } of departures) writeLine(`  out to ${to}`);
}
