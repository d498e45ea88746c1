/** The apps of fabric switches, and the pipeline their entries are for. README.md says what each does. */
import type { App } from '../../controller/datapath/app.js';
import { flooding } from './flooding.js';
import { membership } from './membership.js';
import { paths } from './paths.js';
import { T } from './pipeline.js';
import { ports } from './ports.js';
import { stations } from './stations.js';

export { pipeline as fabricPipeline, TREE_CLASSES } from './pipeline.js';

/** Without an entry in these a port is closed: to frames that come in, or to flooded ones that come over a link or go out. */
export const OPENING_TABLES: ReadonlySet<number> = new Set([T.ingress.id, T.tree.id, T.flood.id]);

/** The app whose entries make the trees that frames are flooded over. */
export const FLOODING_APP = flooding.name;

export const fabricApps: readonly App[] = [ports, stations, paths, flooding, membership];
