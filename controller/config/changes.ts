/** What differs between two configurations, and which of it a running controller can take over. */
import { isDeepStrictEqual } from 'node:util';
import { type Config, ConfigSchema } from './schema.js';

export interface ConfigChange {
  /** Dotted path, `log.level`. */
  readonly path: string;
  readonly from: unknown;
  readonly to: unknown;
  /** `live`: in force at once; `restart`: kept as it was until the controller starts anew. */
  readonly reload: 'live' | 'restart';
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly reload?: 'live' | 'restart';
}

/** The changed settings in the order of the schema. */
export function configChanges(before: Config, after: Config): ConfigChange[] {
  const changes: ConfigChange[] = [];
  const compare = (schema: SchemaNode, from: unknown, to: unknown, path: string): void => {
    if (schema.reload !== undefined) {
      if (!isDeepStrictEqual(from, to)) changes.push({ path, from, to, reload: schema.reload });
      return;
    }
    for (const [name, inner] of Object.entries(schema.properties ?? {})) {
      const member = (value: unknown): unknown => (value as Record<string, unknown> | undefined)?.[name];
      compare(inner, member(from), member(to), path === '' ? name : `${path}.${name}`);
    }
  };
  compare(ConfigSchema as SchemaNode, before, after, '');
  return changes;
}

/** `running` with the live settings of `wanted`: what is in force after a reload. */
export function applyLive(running: Config, wanted: Config): Config {
  const result = structuredClone(running);
  for (const { path, to, reload } of configChanges(running, wanted)) {
    if (reload !== 'live') continue;
    const steps = path.split('.');
    const last = steps.pop() ?? '';
    let here = result as unknown as Record<string, unknown>;
    for (const step of steps) here = here[step] as Record<string, unknown>;
    here[last] = to;
  }
  return result;
}
