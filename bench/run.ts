/**
 * npm run bench                          every benchmark
 * npm run bench -- NAME... [--json FILE] [--rounds N]
 *
 * A name stands for itself and for those that begin with it and a hyphen: `policy` for `policy-rule` and the others.
 * Prints each figure beside that of its peer in the same run; `--json` also writes them to a file.
 */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type Benchmark, type Result, ratioOf, reached, table } from './harness.js';

const BENCHMARKS: Readonly<Record<string, () => Promise<Benchmark>>> = {
  'cni-start': () => import('./cni-start.js'),
  codec: () => import('./codec.js'),
  churn: () => import('./churn.js'),
  'endpoint-add': () => import('./endpoint-add.js'),
  'fabric-packet-in': () => import('./fabric-packet-in.js'),
  hub: () => import('./hub.js'),
  install: () => import('./install.js'),
  'multicast-join': () => import('./multicast-join.js'),
  'policy-rule': () => import('./policy-rule.js'),
  'policy-growth': () => import('./policy-growth.js'),
  'policy-throughput': () => import('./policy-throughput.js'),
  resync: () => import('./resync.js'),
  storm: () => import('./storm.js'),
  trees: () => import('./trees.js'),
};

function usage(problem: string): never {
  console.error(`${problem}; benchmarks: ${Object.keys(BENCHMARKS).join(', ')}`);
  process.exit(2);
}

function named(name: string): (() => Promise<Benchmark>)[] {
  const meant = Object.entries(BENCHMARKS).filter(
    ([other]) => other === name || other.startsWith(`${name}-`),
  );
  return meant.length > 0 ? meant.map(([, load]) => load) : usage(`no benchmark '${name}'`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, rounds: { type: 'string' } },
});
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) usage('--rounds takes a whole number');

const all: Result[] = [];
for (const load of positionals.length > 0 ? positionals.flatMap(named) : Object.values(BENCHMARKS)) {
  const benchmark = await load();
  const results = await benchmark.run(rounds === undefined ? {} : { rounds });
  console.log(`\n${table(results)}`);
  all.push(...results);
}
if (values.json !== undefined) {
  const results = all.map((result) => ({
    ...result,
    ratio: ratioOf(result),
    reached: reached(result) ?? null,
  }));
  const machine = { cpus: cpus().length, cpu: cpus()[0]?.model, node: process.version };
  await writeFile(values.json, `${JSON.stringify({ machine, results }, null, 2)}\n`);
}
