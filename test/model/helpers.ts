/** Models on stores of their own, and short ways to say what a test wants. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  type FactChange,
  Model,
  ModelError,
  type ModelOptions,
  type Problem,
} from '../../controller/model/index.js';
import { LevelStore } from '../../controller/store/level.js';
import type { Store } from '../../controller/store/store.js';

const root = mkdtempSync(join(tmpdir(), 'weft-model-'));
const opened = new Set<{ model: Model; store: Store }>();
let count = 0;

t.teardown(async () => {
  for (const { model, store } of opened) {
    await model.close();
    await store.close();
  }
  rmSync(root, { recursive: true, force: true });
});

export async function openStore(): Promise<LevelStore> {
  return LevelStore.open(join(root, String(++count)));
}

/** A model without objects, unless the store has some. */
export async function openModel(options: ModelOptions = {}, store?: Store): Promise<Model> {
  const own = store ?? (await openStore());
  const model = await Model.open(own, {
    onProblem: (problem) => {
      throw new Error(problem.message);
    },
    ...options,
  });
  opened.add({ model, store: own });
  return model;
}

/** Applies YAML; rejects with every problem, with its line. */
export async function applyText(model: Model, text: string, mode: 'add' | 'replace' = 'add') {
  const { objects, problems } = model.parse(text, { file: 'test.yaml' });
  if (problems.length > 0) throw new ModelError(problems);
  return model.apply(objects, { mode });
}

/** The problems of a refused request. */
export async function problemsOf(work: Promise<unknown>): Promise<readonly Problem[]> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ModelError) return error.problems;
    throw error;
  }
  throw new Error('it was not refused');
}

/** Facts as a map of text, to compare. */
export function factsByKey(changes: readonly FactChange[]): Record<string, unknown> {
  return Object.fromEntries(
    changes.map(({ kind, key, value }) => [
      `${kind} ${key}`,
      JSON.parse(
        JSON.stringify(value, (_, member) =>
          typeof member === 'bigint' ? `${member}n` : (member as unknown),
        ),
      ),
    ]),
  );
}

/** Follows the facts of a model as derivations would. */
export class Follower {
  readonly facts = new Map<string, unknown>();
  readonly calls: (readonly FactChange[])[] = [];

  constructor(model: Model) {
    this.#apply(model.facts());
    model.onFacts((changes) => {
      this.calls.push(changes);
      this.#apply(changes);
    });
  }

  #apply(changes: readonly FactChange[]): void {
    for (const change of changes) {
      if (change.value === undefined) this.facts.delete(`${change.kind} ${change.key}`);
      else this.facts.set(`${change.kind} ${change.key}`, change.value);
    }
  }

  /** As `factsByKey` gives it. */
  byKey(): Record<string, unknown> {
    const text = JSON.stringify(Object.fromEntries(this.facts), (_, member) =>
      typeof member === 'bigint' ? `${member}n` : (member as unknown),
    );
    return JSON.parse(text) as Record<string, unknown>;
  }
}
