// Holds the code to docs/architecture.md: which folder may import which. Part of `npm run lint`; exits 1 and names every import
// that goes against the direction. (oxlint's patterns cannot express "anything but", hence this.)
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** For each room what it may import, of ours and of node; the longest prefix of a file's path names its room. */
const rooms = {
  ofproto: { ours: [], node: [] },
  rpc: { ours: [] },
  'controller/derive': { ours: [], node: [] },
  'controller/store': { ours: [] },
  'controller/trees': { ours: [], node: [] },
  'controller/journal': { ours: ['controller/store', 'controller/log.ts'] },
  'controller/channel': { ours: ['ofproto'] },
  'controller/model': { ours: ['controller/store'] },
  'controller/datapath': {
    ours: ['ofproto', 'controller/channel', 'controller/derive', 'controller/model/facts.ts'],
  },
  apps: {
    ours: [
      'ofproto',
      'controller/derive',
      'controller/trees',
      'controller/model/facts.ts',
      ...['app', 'pipeline', 'fields', 'cookie', 'entry'].map((name) => `controller/datapath/${name}.ts`),
    ],
    node: [],
  },
  'controller/trace': {
    ours: [
      'ofproto',
      'apps',
      'controller/channel',
      'controller/datapath',
      'controller/derive',
      'controller/model',
    ],
    node: [],
  },
  'controller/punt': {
    ours: [
      'ofproto',
      'apps',
      'controller/channel',
      'controller/datapath',
      'controller/log.ts',
      'controller/metrics.ts',
      'controller/model/facts.ts',
    ],
  },
  'controller/multicast': {
    ours: [
      'ofproto',
      'apps',
      'controller/channel',
      'controller/datapath',
      'controller/journal',
      'controller/punt',
      'controller/trees',
      'controller/log.ts',
      'controller/metrics.ts',
      'controller/model/facts.ts',
    ],
  },
  'controller/fabric': {
    ours: [
      'ofproto',
      'apps',
      'controller/channel',
      'controller/datapath',
      'controller/derive',
      'controller/journal',
      'controller/trees',
      'controller/log.ts',
      'controller/metrics.ts',
      'controller/model/facts.ts',
    ],
  },
  'controller/kubernetes': {
    ours: ['controller/model', 'controller/config', 'controller/log.ts', 'controller/metrics.ts'],
  },
  'controller/hub': { ours: ['rpc', 'controller/model', 'controller/log.ts'] },
  'controller/api': {
    ours: [
      'controller/model',
      'controller/config',
      'controller/log.ts',
      'controller/trace/report.ts',
      'controller/trace/fabric/report.ts',
      'controller/metrics.ts',
      'controller/punt/types.ts',
      'controller/multicast/types.ts',
      'controller/fabric/types.ts',
      'controller/kubernetes/types.ts',
    ],
  },
  controller: { ours: ['ofproto', 'rpc', 'apps', 'controller'] },
  agent: { ours: ['rpc', 'agent'] },
  'agent/connections': { ours: ['ofproto', 'agent/error.ts', 'agent/logger.ts', 'agent/ovsdb'] },
};

const files = (directory) =>
  readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return files(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
const within = (path, prefix) => path === prefix || path.startsWith(`${prefix}/`);
const roomOf = (path) =>
  Object.keys(rooms)
    .filter((room) => within(path, room))
    .sort((a, b) => b.length - a.length)[0];

let wrong = 0;
const report = (file, specifier, why) => {
  wrong += 1;
  console.error(`${file} imports '${specifier}': ${why} (test/import-directions.mjs, docs/architecture.md)`);
};

for (const file of ['ofproto', 'rpc', 'controller', 'apps', 'agent'].flatMap(files)) {
  const room = roomOf(file);
  const { ours, node } = rooms[room];
  for (const [, specifier] of readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g)) {
    if (specifier.startsWith('.')) {
      const target = normalize(join(dirname(file), specifier)).replace(/\.js$/, '.ts');
      if (!within(target, room) && !ours.some((allowed) => within(target, allowed))) {
        report(
          file,
          specifier,
          `${room} may import ${ours.length > 0 ? ours.join(', ') : 'nothing of ours'}`,
        );
      }
    } else if (node !== undefined && specifier.startsWith('node:') && !node.includes(specifier)) {
      report(file, specifier, `${room} is pure`);
    }
  }
}
process.exitCode = wrong > 0 ? 1 : 0;
