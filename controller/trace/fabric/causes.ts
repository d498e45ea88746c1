/** Why entries of fabric switches drop, in words. */
import { FloodDrop } from '../../../apps/fabric/flooding.js';
import { T } from '../../../apps/fabric/pipeline.js';
import { IngressDrop } from '../../../apps/fabric/ports.js';
import { StationDrop } from '../../../apps/fabric/stations.js';
import type { EntryOwner } from '../../datapath/index.js';

/** By `<app>.<rule>` and the object of the cookie. */
const CAUSES = new Map<string, string>([
  [`fabric-ports.cluster ${IngressDrop.bridgeReserved}`, 'no bridge forwards what is for bridges'],
  [`fabric-stations.unknown ${StationDrop.groupSource}`, 'its source address is one of a group'],
  [`fabric-flooding.cluster ${FloodDrop.offTree}`, 'it came over a link that is not in the tree here'],
]);
/** By table. */
const MISSES = new Map<number, string>([
  [T.ingress.id, 'nothing is let in by a port that is blocked, or of which it is not known where it leads'],
  [T.path.id, 'no way to that switch is known'],
  [T.flood_edge.id, 'the switch has no edge ports'],
]);

/** @param table id; undefined: there is nothing to say but whose entry it is */
export function fabricCauseOf({ rule, object }: EntryOwner, table: number): string | undefined {
  if (rule === 'pipeline.miss') return MISSES.get(table);
  if (rule === 'fabric-paths.paths')
    return 'it came from a switch that is nearer to where it goes, and would go round';
  return CAUSES.get(`${rule} ${object?.number ?? 0}`);
}
