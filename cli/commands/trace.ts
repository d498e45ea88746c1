/** `weft trace`. */
import type { TraceLeg, TraceReport, TraceRequest, TraceVisit } from '../../controller/trace/report.js';
import type { Client } from '../client.js';
import { CommandError, Exit } from '../exit.js';
import { readIntentFiles } from '../intent-files.js';
import type { IcmpMessage } from '../options.js';
import { writeJson, writeLine } from '../output.js';
import { writeDifferences, writeSteps } from '../trace-text.js';

export interface TraceOptions {
  readonly from?: string | undefined;
  readonly to: string;
  /** Of a frame through the fabric: its VLAN id, and where it comes in. */
  readonly vlan?: number | undefined;
  readonly switch?: string | undefined;
  readonly inPort?: number | undefined;
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
  if (isThroughFabric(options)) return await throughFabric(client, options);
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

/** Names of endpoints have slashes, and a packet of the overlay has one for its sender or its receiver. */
function isThroughFabric({ from, to, vlan, switch: name, inPort }: TraceOptions): boolean {
  if ((vlan ?? name ?? inPort) !== undefined) return true;
  return from?.includes('/') !== true && !to.includes('/');
}

async function throughFabric(client: Client, options: TraceOptions): Promise<Exit> {
  const { from, to, vlan, switch: name, inPort, all, json } = options;
  const misplaced = Object.keys(askedProtocols(options));
  if (options.sourcePort !== undefined) misplaced.push('source-port');
  if (options.ipv6) misplaced.push('ipv6');
  if (options.file.length > 0) misplaced.push('file');
  if (misplaced.length > 0) {
    throw new CommandError(
      Exit.usage,
      `--${misplaced.join(', --')}: the fabric asks for addresses and VLANs only\n  fix: leave it out, or name an endpoint: TENANT/NETWORK/ENDPOINT`,
    );
  }
  if (from === undefined && (name === undefined || inPort === undefined)) throw missingSender();
  const { traceFabric } = await import('./trace-fabric.js');
  return await traceFabric(client, {
    ...(from === undefined ? {} : { from }),
    to,
    ...(vlan === undefined ? {} : { vlan }),
    ...(name === undefined ? {} : { switch: name }),
    ...(inPort === undefined ? {} : { inPort }),
    all,
    json,
  });
}

function missingSender(): CommandError {
  return new CommandError(
    Exit.usage,
    'who sends is not said\n  fix: --from; or --switch and --in-port, of a switch of the fabric',
  );
}

function askedProtocols({ tcp, udp, sctp, icmp, protocol }: TraceOptions): Readonly<Record<string, unknown>> {
  const asked = Object.entries({ tcp, udp, sctp, icmp, protocol });
  return Object.fromEntries(asked.filter(([, value]) => value !== undefined));
}

function requestOf(options: TraceOptions): TraceRequest {
  const { from, to, tcp, udp, sctp, icmp, protocol, sourcePort, ipv6 } = options;
  if (from === undefined) throw missingSender();
  const asked = Object.keys(askedProtocols(options));
  if (asked.length > 1) {
    throw new CommandError(
      Exit.usage,
      `--${asked.join(' and --')}: a packet has one protocol\n  fix: leave all but one out`,
    );
  }
  const port = tcp ?? udp ?? sctp;
  const [name = 'icmp'] = asked;
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
  writeDifferences(differences);
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

function writeVisit(
  { host, arrival, connection, unseen, steps, departures }: TraceVisit,
  all: boolean,
): void {
  writeLine(`\n${host}: in by ${arrival}, connection ${connection}`);
  if (unseen !== undefined) writeLine(`  ${unseen}`);
  writeSteps(steps, departures, all);
}
