/** Opens the store that the configuration asks for. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config/schema.js';
import { LevelStore } from './store/level.js';
import { type Store, StoreError } from './store/store.js';

export interface OpenStore {
  readonly store: Store;
  /** For messages: where it is. */
  readonly description: string;
  close(): Promise<void>;
}

/**
 * @param data directory of the embedded store; made when it is not there
 * @throws StoreError `store.locked` while another controller has the directory
 */
export async function openStore({ driver, etcd }: Config['store'], data: string): Promise<OpenStore> {
  if (driver === 'etcd') {
    const { EtcdStore } = await import('./store/etcd.js');
    const store = new EtcdStore({ endpoints: etcd });
    return { store, description: `etcd at ${etcd.join(', ')}`, close: async () => await store.close() };
  }
  await makeDirectory(data);
  const processFile = join(data, 'controller.pid');
  let store: LevelStore;
  try {
    store = await LevelStore.open(join(data, 'store'));
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'store.locked') throw error;
    const owner = await readFile(processFile, 'utf8').catch(() => '');
    const who = owner === '' ? 'another process' : `process ${owner.trim()}`;
    throw new StoreError('store.locked', `the data directory ${data} is in use by ${who}`, {
      fix: 'stop that controller, or give this one a directory of its own with --data',
      cause: error,
    });
  }
  // For people only; the lock is LevelDB's own, which the kernel gives back however the process ends.
  await writeFile(processFile, `${process.pid}\n`);
  return { store, description: `level in ${data}`, close: async () => await store.close() };
}

async function makeDirectory(data: string): Promise<void> {
  try {
    await mkdir(data, { recursive: true, mode: 0o750 });
  } catch (error) {
    throw new StoreError(
      'store.unavailable',
      `the data directory ${data} cannot be made: ${(error as Error).message}`,
      {
        fix: 'name a directory that can be written with --data',
        cause: error,
      },
    );
  }
}
