/** `weft get fabric`: switches, what their ports lead to, links and stations. */
import type { FabricPort, FabricReport, FabricStation } from '../../controller/fabric/types.js';
import type { Client } from '../client.js';
import { Exit } from '../exit.js';
import { table, writeJson, writeLine } from '../output.js';

export interface GetFabricOptions {
  readonly json: boolean;
}

/** @param names datapath ids; none: all */
export async function getFabric(
  client: Client,
  names: readonly string[],
  { json }: GetFabricOptions,
): Promise<Exit> {
  const report = only(await client.get<FabricReport>('/v1/fabric'), names);
  if (json) writeJson(report);
  else writeLine(fabricText(report, Date.now()));
  return Exit.ok;
}

/** What concerns these switches. */
function only(report: FabricReport, names: readonly string[]): FabricReport {
  if (names.length === 0) return report;
  const wanted = new Set(names.map((name) => name.toLowerCase().replace(/^0x/, '').padStart(16, '0')));
  const isWanted = ({ datapathId }: { readonly datapathId: string }) => wanted.has(datapathId);
  return {
    ...report,
    switches: report.switches.filter(isWanted),
    ports: report.ports.filter(isWanted),
    links: report.links.filter(({ from, to }) => isWanted(from) || isWanted(to)),
    stations: report.stations.filter(isWanted),
  };
}

/** @param now milliseconds since 1970 */
export function fabricText(report: FabricReport, now: number): string {
  const { switches, ports, links, stations } = report;
  if (switches.length === 0) return 'no fabric switches';
  const parts = [
    table(
      ['switch', 'state', 'ports', 'links', 'stations'],
      switches.map(({ datapathId, connected, ...counts }) => [
        datapathId,
        connected ? 'connected' : 'away',
        `${counts.ports}`,
        `${counts.links}`,
        `${counts.stations}`,
      ]),
    ),
    portTable(ports),
  ];
  if (links.length > 0) {
    const end = ({ datapathId, port }: { datapathId: string; port: number }) => `${datapathId}/${port}`;
    parts.push(
      table(
        ['link', 'to'],
        links.map(({ from, to }) => [end(from), end(to)]),
      ),
    );
  }
  if (stations.length > 0) parts.push(stationTable(stations, now));
  return [...parts, ...refusals(report)].join('\n\n');
}

function portTable(ports: readonly FabricPort[]): string {
  return table(
    ['switch', 'port', 'name', 'role', 'neighbour', 'stations', 'why'],
    ports.map(({ datapathId, port, name, role, up, neighbour, stations, reason }) => [
      datapathId,
      `${port}`,
      name,
      up ? role : 'down',
      neighbour === undefined ? undefined : `${neighbour.datapathId}/${neighbour.port}`,
      stations === 0 ? undefined : `${stations}`,
      up && (role === 'unknown' || role === 'blocked') ? reason : undefined,
    ]),
  );
}

function stationTable(stations: readonly FabricStation[], now: number): string {
  return table(
    ['station', 'vlan', 'switch', 'port', 'seen', 'moves'],
    stations.map(({ mac, vlan, datapathId, port, lastSeen, moves }) => [
      mac,
      vlan === 0 ? undefined : `${vlan}`,
      datapathId,
      `${port}`,
      `${Math.max(0, Math.round((now - lastSeen) / 1000))}s ago`,
      moves === 0 ? undefined : `${moves}`,
    ]),
  );
}

/** What somebody should look at. */
function refusals({ probes, learning }: FabricReport): readonly string[] {
  const counts: readonly (readonly [number, string])[] = [
    [probes.forged, 'probes that this controller has not sent'],
    [probes.replayed, 'probes that came too late, or twice'],
    [learning.flapping, 'frames dropped because their station was seen at two ports in turn'],
    [learning.overPortLimit + learning.overTotalLimit, 'frames of stations that were too many to be learned'],
  ];
  const told = counts.filter(([count]) => count > 0);
  return told.length === 0 ? [] : [told.map(([count, what]) => `${count} ${what}`).join('\n')];
}
