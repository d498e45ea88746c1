/**
 * Transactions too large for one of etcd's (128 operations, 1.5 MB by default), made atomic all the same:
 *
 * 1. what is to be written is put into a log, in chunks, where nobody looks;
 * 2. one small transaction compares what was to be compared and puts the marker: this is the commit;
 * 3. the log is carried out in steps, each on the condition that the marker is still there; the last step removes it.
 *
 * Whoever finds the marker carries the log out himself before he reads or writes, so a process that died in the middle
 * leaves nothing half done. Watchers hold the steps back until the marker has gone (etcd-watch.ts).
 */
import { randomBytes } from 'node:crypto';
import { StoreError, type StoreTransaction } from './store.js';
import type { EtcdClient } from './etcd-client.js';
import type { Keys } from './etcd-keys.js';
import {
  type Compare,
  DELETE_RANGE,
  type KeyValue,
  LARGE_CHUNK,
  LARGE_TRANSACTION,
  type LargeTransaction,
  PUT,
  RANGE,
  type RequestOp,
  TXN,
} from './etcd-protocol.js';

/** Below etcd's own limits of 128 operations and 1.5 MB, with room for the marker. */
export const MAX_OPERATIONS = 100;
export const MAX_BYTES = 1_000_000;
const CHUNK_BYTES = 500_000;
/** Logs of transactions that never came to their marker are removed after so long. */
const ABANDONED_MS = 3_600_000;

/** Ids sort by the time they were made (base 36, eight digits until 2059). */
const idAt = (time: number): string => time.toString(36).padStart(9, '0');

/** Carries out what a marker stands for; harmless when others do the same. Resolves when the marker has gone. */
export async function carryOut(client: EtcdClient, keys: Keys, marker: KeyValue): Promise<void> {
  const large = LARGE_TRANSACTION.decode(marker.value);
  const operations: RequestOp[] = [];
  const lastOperations: RequestOp[] = [];
  const last = new Set(large.last);
  const sort = (key: Uint8Array, operation: RequestOp) => {
    (last.has(keys.recordKey(key) ?? '') ? lastOperations : operations).push(operation);
  };
  for (const chunk of await readLog(client, keys, large)) {
    for (const requestPut of chunk.puts) sort(requestPut.key, { requestPut });
    for (const key of chunk.deletes) sort(key, { requestDeleteRange: { key } });
  }
  // The marker of another transaction would have another revision.
  const compare: Compare[] = [{ target: 'CREATE', key: keys.marker, createRevision: marker.createRevision }];
  for (const step of steps(operations)) {
    const { succeeded } = await client.call(TXN, { compare, success: step, failure: [] });
    if (!succeeded) return;
  }
  const end: RequestOp[] = [
    ...lastOperations,
    { requestPut: { key: keys.done(large.id), value: new Uint8Array() } },
    { requestDeleteRange: { key: keys.marker } },
  ];
  await client.call(TXN, { compare, success: end, failure: [] });
}

async function readLog(client: EtcdClient, keys: Keys, { id, chunks }: LargeTransaction) {
  const values = [];
  for (let index = 0; index < chunks; index++) {
    const { kvs } = await client.read(RANGE, { key: keys.chunk(id, index) });
    const [chunk] = kvs;
    // Only somebody who has carried it out removes the log, after the marker: our steps will fail on it.
    if (chunk !== undefined) values.push(LARGE_CHUNK.decode(chunk.value));
  }
  return values;
}

function* steps(operations: readonly RequestOp[]): Iterable<RequestOp[]> {
  let step: RequestOp[] = [];
  let size = 0;
  for (const operation of operations) {
    const length =
      'requestPut' in operation ? operation.requestPut.value.length + operation.requestPut.key.length : 64;
    if (step.length === MAX_OPERATIONS || size + length > MAX_BYTES) {
      yield step;
      step = [];
      size = 0;
    }
    step.push(operation);
    size += length;
  }
  if (step.length > 0) yield step;
}

/** Writes the log of a transaction; returns what its marker says. */
export async function writeLog(
  client: EtcdClient,
  keys: Keys,
  transaction: StoreTransaction,
): Promise<LargeTransaction> {
  const id = `${idAt(Date.now())}-${randomBytes(6).toString('hex')}`;
  const compared = new Set(transaction.compare.map(({ key }) => key));
  const last = [...transaction.put.map(({ key }) => key), ...transaction.delete].filter((key) =>
    compared.has(key),
  );
  if (transaction.compare.length >= MAX_OPERATIONS || last.length >= MAX_OPERATIONS) {
    throw new StoreError('store.too-large', `a transaction compares ${transaction.compare.length} keys`, {
      fix: `compare less than ${MAX_OPERATIONS}`,
    });
  }
  let chunks = 0;
  let puts: { key: Uint8Array; value: Uint8Array }[] = [];
  let deletes: Uint8Array[] = [];
  let size = 0;
  const flush = async () => {
    if (puts.length + deletes.length === 0) return;
    await client.call(PUT, { key: keys.chunk(id, chunks++), value: LARGE_CHUNK.encode({ puts, deletes }) });
    puts = [];
    deletes = [];
    size = 0;
  };
  for (const { key, value } of transaction.put) {
    puts.push({ key: keys.record(key), value });
    size += key.length + value.length + 16;
    if (size > CHUNK_BYTES) await flush();
  }
  for (const key of transaction.delete) {
    deletes.push(keys.record(key));
    size += key.length + 16;
    if (size > CHUNK_BYTES) await flush();
  }
  await flush();
  return { id, chunks, last };
}

export const removeLog = (client: EtcdClient, keys: Keys, id: string) =>
  client.call(DELETE_RANGE, keys.log(id));

/** Removes the logs of processes that died before their commit. */
export const removeAbandonedLogs = (client: EtcdClient, keys: Keys) =>
  client.call(DELETE_RANGE, keys.logsBefore(idAt(Date.now() - ABANDONED_MS)));
