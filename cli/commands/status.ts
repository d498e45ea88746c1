/** `weft status`. */
import type { ControllerStatus } from '../../controller/api/backend.js';
import type { Client } from '../client.js';
import { Exit } from '../exit.js';
import { formatDuration, formatTime, table, writeJson, writeLine } from '../output.js';

type StatusAnswer = ControllerStatus & { readonly ready: boolean; readonly notReady: readonly string[] };

export async function status(client: Client, { json }: { json: boolean }): Promise<Exit> {
  const answer = await client.get<StatusAnswer>('/v1/status');
  if (json) {
    writeJson(answer);
    return Exit.ok;
  }
  const { version, startedAt, store, listeners, ready, notReady, hosts, datapaths } = answer;
  const now = Date.now();
  writeLine(
    `controller  weft ${version} at ${client.server}, up ${formatDuration(now - startedAt)} (since ${formatTime(startedAt)})`,
  );
  writeLine(`state       ${ready ? 'ready' : notReady.join('; ')}`);
  writeLine(`store       ${store.driver}, ${store.state}`);
  writeLine(
    `listening   switches ${listeners.openflow ?? '-'}, agents ${listeners.hub ?? '-'}, HTTP ${listeners.http ?? '-'}`,
  );

  writeLine(`\nhosts: ${hosts.length === 0 ? 'none' : ''}`);
  if (hosts.length > 0) {
    const rows = hosts.map((host) => [
      host.host,
      host.state,
      host.leaseMs === undefined ? '' : formatDuration(host.leaseMs),
      host.vtepIp,
      host.uplink,
      host.attached,
      host.datapathId,
      host.remoteAddress,
    ]);
    writeLine(table(['host', 'agent', 'lease', 'vtep', 'uplink', 'attached', 'datapath', 'from'], rows));
  }

  writeLine(`\nswitches: ${datapaths.length === 0 ? 'none' : ''}`);
  if (datapaths.length > 0) {
    const rows = datapaths.map(({ datapathId, host, state, entries, refused, healed, lastAudit }) => [
      datapathId,
      host ?? '(fabric)',
      state,
      entries,
      refused.length,
      `${healed.missing}/${healed.extra}/${healed.changed}/${healed.foreign}`,
      lastAudit === undefined ? '' : `${formatDuration(now - lastAudit)} ago`,
    ]);
    const headings = ['datapath', 'host', 'state', 'entries', 'refused', 'healed m/e/c/f', 'audited'];
    writeLine(table(headings, rows));
  }

  const refusals = datapaths.flatMap(({ datapathId, host, refused }) =>
    refused.map((one) => ({ ...one, where: host ?? datapathId })),
  );
  if (refusals.length > 0) {
    writeLine('\nrefused entries:');
    for (const { where, entry, owner, error } of refusals)
      writeLine(`  ${where}: ${error}: ${entry} (from ${owner})`);
  }
  const problems = datapaths.flatMap(({ datapathId, host, problems }) =>
    problems.map((one) => ({ ...one, where: host ?? datapathId })),
  );
  if (problems.length > 0) {
    writeLine('\nproblems:');
    for (const { where, message, fix } of problems) writeLine(`  ${where}: ${message}\n    fix: ${fix}`);
  }
  return Exit.ok;
}
