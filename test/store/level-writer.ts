/**
 * The child of the kill test: writes pairs of records for ever and prints the number of each acknowledged pair.
 * Usage: node level-writer.js FOLDER FIRST
 */
import { writeSync } from 'node:fs';
import { LevelStore } from '../../controller/store/level.js';

const [folder, first] = process.argv.slice(2);
const store = await LevelStore.open(folder as string);
let number = Number(first);
const writer = async () => {
  for (;;) {
    const mine = number++;
    const value = new TextEncoder().encode(`${mine} ${'.'.repeat(mine % 3_000)}`);
    const outcome = await store.transact({
      compare: [{ key: `left/${mine}`, revision: 0 }],
      put: [
        { key: `left/${mine}`, value },
        { key: `right/${mine}`, value },
      ],
      delete: mine % 7 === 0 ? [`left/${mine - 7}`, `right/${mine - 7}`] : [],
    });
    writeSync(1, `${outcome.ok ? mine : 'conflict'}\n`);
  }
};
await Promise.all([writer(), writer(), writer(), writer()]);
