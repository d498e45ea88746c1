/** Which intents the cluster's objects ask for, and which of them have changed. Several objects may ask for one intent (a group of peers). */
import { isDeepStrictEqual } from 'node:util';
import { idOf, type IntentObject } from '../model/intents.js';
import type { ObjectRef } from '../model/types.js';

/** `Endpoint kubernetes/pods/shop.web-0` */
export const keyOf = (object: IntentObject): string => `${object.kind} ${idOf(object)}`;

export function refOf(key: string): ObjectRef {
  const space = key.indexOf(' ');
  return { kind: key.slice(0, space) as ObjectRef['kind'], name: key.slice(space + 1) };
}

interface Wanted {
  readonly intent: IntentObject;
  /** Sources that ask for it. */
  readonly users: number;
}

export class DesiredIntents {
  readonly #bySource = new Map<string, readonly IntentObject[]>();
  readonly #wanted = new Map<string, Wanted>();
  readonly #changed = new Set<string>();

  get size(): number {
    return this.#wanted.size;
  }

  get hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  /** What a source asks for from now on. @param source an object of the cluster: `pods shop/web-0` */
  set(source: string, intents: readonly IntentObject[]): void {
    const before = this.#bySource.get(source) ?? [];
    if (intents.length === 0) this.#bySource.delete(source);
    else this.#bySource.set(source, intents);
    for (const intent of intents) {
      const key = keyOf(intent);
      const wanted = this.#wanted.get(key);
      if (wanted === undefined || !isDeepStrictEqual(wanted.intent, intent)) this.#changed.add(key);
      this.#wanted.set(key, { intent, users: (wanted?.users ?? 0) + 1 });
    }
    for (const key of before.map(keyOf)) {
      const wanted = this.#wanted.get(key);
      if (wanted === undefined) continue;
      if (wanted.users > 1) this.#wanted.set(key, { ...wanted, users: wanted.users - 1 });
      else {
        this.#wanted.delete(key);
        this.#changed.add(key);
      }
    }
  }

  /** Undefined: nobody asks for it. */
  get(key: string): IntentObject | undefined {
    return this.#wanted.get(key)?.intent;
  }

  keys(): IterableIterator<string> {
    return this.#wanted.keys();
  }

  /** To be looked at again. */
  touch(key: string): void {
    this.#changed.add(key);
  }

  /** Keys of what has changed since the last call. */
  takeChanges(): string[] {
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }
}
