/**
 * Opens a controller's store and derives every table of every switch, as a controller does when it starts. A process of its own, so that
 * memory is of this alone: `node --expose-gc policy-scratch.js STORE` prints a {@link Scratch} as JSON.
 */
import { apps, pipeline } from '../apps/index.js';
import { Numbering } from '../controller/channel/index.js';
import { DatapathController } from '../controller/datapath/index.js';
import { writeFacts } from '../controller/main/model-facts.js';
import { Model } from '../controller/model/index.js';
import { LevelStore } from '../controller/store/level.js';

export interface Scratch {
  /** Milliseconds until the model is read. */
  readonly open: number;
  /** Milliseconds from the facts to the tables of all switches. */
  readonly derive: number;
  readonly switches: number;
  /** Entries, summed over switches. */
  readonly entries: number;
  /** Bytes of the heap in use after a collection. */
  readonly heap: number;
  /** Bytes resident. */
  readonly resident: number;
}

const start = performance.now();
const store = await LevelStore.open(process.argv[2] ?? '');
const model = await Model.open(store);
const facts = model.facts();
const opened = performance.now();
const datapaths = new DatapathController({ pipeline, apps, numbering: new Numbering(), auditIntervalMs: 0 });
writeFacts(datapaths.facts, facts);
// Ports are what switches say, and no switch is here: endpoints are on ports p1, p2, …, as bringUp made them.
const hostFacts = facts.flatMap((fact) =>
  fact.kind === 'host' && fact.value !== undefined ? [fact.value] : [],
);
const ids = new Map(hostFacts.map(({ name, datapathId }) => [name, datapathId ?? '']));
for (const fact of facts) {
  if (fact.kind !== 'endpoint' || fact.value?.interface === undefined) continue;
  const { host = '', interface: name } = fact.value;
  const datapathId = ids.get(host) ?? '';
  const number = Number(name.slice(1));
  datapaths.facts.ports.set(`${datapathId}/${name}`, { datapathId, name, number, up: true });
}
datapaths.settle();
const derived = performance.now();
(globalThis as { gc?: () => void }).gc?.();
const { heapUsed, rss } = process.memoryUsage();
let entries = 0;
for (const datapathId of ids.values()) entries += [...datapaths.desired(datapathId)].length;
const scratch: Scratch = {
  open: opened - start,
  derive: derived - opened,
  switches: ids.size,
  entries,
  heap: heapUsed,
  resident: rss,
};
console.log(JSON.stringify(scratch));
datapaths.close();
await model.close();
await store.close();
