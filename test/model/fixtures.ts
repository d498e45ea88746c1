/** Models that can be opened again on the same folder, and intents made in code; `helpers.ts` has the rest. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { type IntentObject, Model, type ModelOptions, type Problem } from '../../controller/model/index.js';
import { LevelStore } from '../../controller/store/level.js';
import { Follower, problemsOf } from './helpers.js';

/** A model and the folder that its store is in. */
export interface Opened {
  readonly model: Model;
  readonly folder: string;
  /** Closes model and store, and opens the same folder again. */
  reopen(): Promise<Opened>;
  close(): Promise<void>;
}

export async function openFolder(folder: string, options?: ModelOptions): Promise<Opened> {
  const store = await LevelStore.open(folder);
  const model = await Model.open(store, options);
  const close = async () => {
    await model.close();
    await store.close();
  };
  return {
    model,
    folder,
    close,
    reopen: async () => {
      await close();
      return openFolder(folder, options);
    },
  };
}

/** An empty model; the test closes it with `close`, its folder goes by itself. */
export function openNew(t: Test, options?: ModelOptions): Promise<Opened> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-model-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return openFolder(folder, options);
}

/** Text of a file below `examples/`. */
export const example = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../examples/${path}`, import.meta.url)), 'utf8');

/** What a request is refused for; warnings that come with it are left out. */
export const refusedWith = async (request: Promise<unknown>): Promise<readonly Problem[]> =>
  (await problemsOf(request)).filter(({ severity }) => severity === 'error');

export const codesOf = (problems: readonly Problem[]): string[] => problems.map(({ code }) => code);

/** What somebody knows who has only heard the changes. */
export const follow = (model: Model): ReadonlyMap<string, unknown> => new Follower(model).facts;

/** Every fact by kind and key, as `follow` collects them. */
export const factsOf = (model: Model): Map<string, unknown> =>
  new Map(model.facts().map(({ kind, key, value }) => [`${kind} ${key}`, value]));

export const tenant = (name: string, more: object = {}): IntentObject => ({ kind: 'Tenant', name, ...more });

/** `acme/front`. */
export function network(id: string, more: object = {}): IntentObject {
  const [tenant = '', name = ''] = id.split('/');
  return { kind: 'Network', tenant, name, ...more };
}

/** `acme/front/web1`. */
export function endpoint(id: string, more: object = {}): IntentObject {
  const [tenant = '', network = '', name = ''] = id.split('/');
  return { kind: 'Endpoint', tenant, network, name, ...more };
}
