import type { Input } from '../derive/index.js';

/** An input whose writes somebody is told of, before they are made. @param told value absent: it goes */
export function watched<V>(input: Input<V>, told: (key: string, value: V | undefined) => void): Input<V> {
  return {
    name: input.name,
    get size() {
      return input.size;
    },
    get: (key) => input.get(key),
    has: (key) => input.has(key),
    entries: () => input.entries(),
    set: (key, value) => {
      told(key, value);
      return input.set(key, value);
    },
    delete: (key) => {
      told(key, undefined);
      return input.delete(key);
    },
  };
}
