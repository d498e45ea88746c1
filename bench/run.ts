/**
 * npm run bench                          every benchmark
 * npm run bench -- NAME... [--json FILE] [--rounds N]
 *
 * Prints each figure beside that of its peer in the same run; `--json` also writes them to a file.
 */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type Benchmark, type Result, ratioOf, reached, table } from './harness.js';

const BENCHMARKS: Readonly<Record<string, () => Promise<Benchmark>>> = {
  codec: () => import('./codec.js'),
  'endpoint-add': () => import('./endpoint-add.js'),
  hub: () => import('./hub.js'),
  install: () => import('./install.js'),
  resync: () => import('./resync.js'),
};

function usage(problem: string): never {
  console.error(`${problem}; benchmarks: ${Object.keys(BENCHMARKS).join(', ')}`);
  process.exit(2);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, rounds: { type: 'string' } },
});
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) usage('--rounds takes a whole number');

const all: Result[] = [];
for (const name of positionals.length > 0 ? positionals : Object.keys(BENCHMARKS)) {
  const load = BENCHMARKS[name] ?? usage(`no benchmark '${name}'`);
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
