/** `weft trace` between stations of the fabric. */
import type {
  FabricTraceLeg,
  FabricTraceReport,
  FabricTraceRequest,
} from '../../controller/trace/fabric/report.js';
import type { Client } from '../client.js';
import { Exit } from '../exit.js';
import { writeJson, writeLine } from '../output.js';
import { writeDifferences, writeSteps } from '../trace-text.js';

export interface FabricTraceOptions extends FabricTraceRequest {
  readonly all: boolean;
  readonly json: boolean;
}

const ANSWER_TIMEOUT_MS = 60_000;

export async function traceFabric(
  client: Client,
  { all, json, ...request }: FabricTraceOptions,
): Promise<Exit> {
  const report = await client.get<FabricTraceReport>('/v1/fabric/trace', {
    query: { ...request },
    timeoutMs: ANSWER_TIMEOUT_MS,
  });
  if (json) writeJson(report);
  else writeReport(report, all);
  return report.outcome === 'allowed' ? Exit.ok : Exit.notAllowed;
}

function writeReport({ request, reply, differences, verdict }: FabricTraceReport, all: boolean): void {
  writeLeg('request', request, all);
  if (reply !== undefined) {
    writeLine();
    writeLeg('answer', reply, all);
  }
  writeDifferences(differences);
  writeLine(`\n${verdict}`);
}

function writeLeg(name: string, { packet, visits, deliveries }: FabricTraceLeg, all: boolean): void {
  writeLine(`${name}: ${packet}`);
  for (const { switch: datapathId, arrival, alternative, unseen, steps, departures } of visits) {
    writeLine(`\n${datapathId}: in by ${arrival}${alternative ? ', if it is chosen' : ''}`);
    if (unseen !== undefined) writeLine(`  ${unseen}`);
    writeSteps(steps, departures, all);
  }
  if (deliveries.length > 0) writeLine(`\n${name} arrives:`);
  for (const { switch: datapathId, port, name: portName, stations, path } of deliveries) {
    const who = stations.length === 0 ? 'no station known' : stations.join(', ');
    const over = path.map((hop) => `${hop.switch}/${hop.port}`).join(' ');
    writeLine(`  ${datapathId}/${port} (${portName}): ${who}, over ${over}`);
  }
}
