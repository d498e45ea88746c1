import type { FabricReport } from '../../controller/fabric/types.js';

const A = '00000000000000a1';
const B = '00000000000000b2';

/** Two switches with a link, one of them away, a station and everything that somebody should look at. */
export const fabricReport: FabricReport = {
  switches: [
    { datapathId: A, number: 1, connected: true, ports: 3, links: 1, stations: 1 },
    { datapathId: B, number: 2, connected: false, ports: 1, links: 1, stations: 0 },
  ],
  ports: [
    {
      datapathId: A,
      port: 1,
      name: 'a-1',
      role: 'link',
      up: true,
      neighbour: { datapathId: B, port: 1 },
      stations: 0,
    },
    {
      datapathId: A,
      port: 2,
      name: 'a-2',
      role: 'edge',
      up: true,
      stations: 1,
      reason: 'nobody answers probes',
    },
    {
      datapathId: A,
      port: 3,
      name: 'a-3',
      role: 'unknown',
      up: true,
      stations: 0,
      reason: 'one direction only',
    },
    {
      datapathId: B,
      port: 1,
      name: 'b-1',
      role: 'link',
      up: true,
      neighbour: { datapathId: A, port: 1 },
      stations: 0,
    },
  ],
  links: [{ from: { datapathId: A, port: 1 }, to: { datapathId: B, port: 1 } }],
  stations: [{ mac: '02:02:0a:00:00:01', vlan: 7, datapathId: A, port: 2, lastSeen: 1_000, moves: 2 }],
  probes: { sent: 100, accepted: 40, foreign: 0, forged: 3, replayed: 0, reflected: 0 },
  learning: {
    learned: 5,
    moved: 2,
    aged: 4,
    reinjected: 9,
    invalidSource: 0,
    overPortLimit: 1,
    overTotalLimit: 1,
    flapping: 0,
    notEdge: 0,
  },
};
