/** The fabric as it is told to people. */
import type { Discovery } from './discovery.js';
import type { PuntedFrames } from './punted-frames.js';
import type { Stations } from './stations.js';
import type { Switches } from './switches.js';
import type { FabricPort, FabricReport, FabricStation, FabricSwitch } from './types.js';

/** Of a controller that has no fabric. */
export const EMPTY_FABRIC: FabricReport = {
  switches: [],
  ports: [],
  links: [],
  stations: [],
  probes: { sent: 0, accepted: 0, foreign: 0, forged: 0, replayed: 0, reflected: 0 },
  learning: {
    learned: 0,
    moved: 0,
    aged: 0,
    reinjected: 0,
    invalidSource: 0,
    overPortLimit: 0,
    overTotalLimit: 0,
    flapping: 0,
    notEdge: 0,
  },
};

/** @param now of the clock of `Station.lastSeen` */
export function reportOn(
  switches: Switches,
  discovery: Discovery,
  frames: PuntedFrames,
  stations: Stations,
  now: number,
): FabricReport {
  const ports: FabricPort[] = [];
  const described: FabricSwitch[] = [];
  for (const { datapathId, number, ports: all, session } of switches.all()) {
    let links = 0;
    let here = 0;
    for (const { number: port, name, up } of all.values()) {
      const found = discovery.port(datapathId, port);
      const count = frames.place(datapathId, port)?.stations.size ?? 0;
      if (found?.role === 'link') links++;
      here += count;
      ports.push({
        datapathId,
        port,
        name,
        role: found?.role ?? 'unknown',
        up,
        ...(found?.neighbour === undefined
          ? {}
          : { neighbour: { datapathId: found.neighbour.datapathId, port: found.neighbour.port } }),
        stations: count,
        reason: found?.reason ?? 'the port is down',
      });
    }
    const connected = session !== undefined;
    described.push({ datapathId, number, connected, ports: all.size, links, stations: here });
  }
  return {
    switches: described.sort((a, b) => (a.datapathId < b.datapathId ? -1 : 1)),
    ports: ports.sort((a, b) => compareText(a.datapathId, b.datapathId) || a.port - b.port),
    links: [...discovery.links()],
    stations: stationsOf(stations, now),
    probes: { ...discovery.probes.counters },
    learning: { ...stations.counters },
  };
}

function stationsOf(stations: Stations, now: number): FabricStation[] {
  const wall = Date.now() - now;
  return [...stations.all()]
    .sort((a, b) => a.vlan - b.vlan || a.mac - b.mac)
    .map(({ mac, vlan, datapathId, port, lastSeen, moves }) => ({
      mac: formatMac(mac),
      vlan,
      datapathId,
      port,
      lastSeen: Math.round(wall + lastSeen),
      moves,
    }));
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function formatMac(mac: number): string {
  return mac
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:');
}
