/**
 * Reading the configuration: the file (YAML, or JSON, which is YAML), then the command line over it, then the defaults
 * of the schema. Problems carry the path, the line in the file and the way out; all of them are reported, not the first.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import Format from 'typebox/format';
import { Settings } from 'typebox/system';
import { Default, Errors } from 'typebox/value';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { parseListenAddress } from './address.js';
import { type Config, ConfigSchema } from './schema.js';

export interface ConfigProblem {
  /** Dotted path of the setting, `hub.listen`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  readonly fix?: string;
  /** 1-based line in the file; absent when the value came from the command line. */
  readonly line?: number;
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'config.invalid';

  constructor(
    readonly problems: readonly ConfigProblem[],
    readonly file?: string,
  ) {
    super(
      problems
        .map(({ path, message, fix, line }) => {
          const where = file === undefined || line === undefined ? '' : `${file}:${line}: `;
          return `${where}${path === '' ? '' : `${path}: `}${message}${fix === undefined ? '' : ` (${fix})`}`;
        })
        .join('\n'),
    );
  }
}

/** Settings given on the command line; each stands over the file's. */
export interface ConfigOverrides {
  readonly openflow?: string | undefined;
  readonly hub?: string | undefined;
  readonly http?: string | undefined;
  readonly data?: string | undefined;
  readonly store?: string | undefined;
  readonly etcd?: readonly string[] | undefined;
  readonly logLevel?: string | undefined;
  /** A kubeconfig, or true for the service account of the pod. */
  readonly kubernetes?: string | true | undefined;
}

Format.Set('address', (text) => parseListenAddress(text) !== undefined);
Format.Set('url', (text) => /^https?:\/\/[^/\s]+$/.test(text));

const MAX_FILE_BYTES = 1_048_576;

/** @throws ConfigError when the file cannot be read, is not YAML, or holds something the schema refuses */
export async function loadConfig(file: string | undefined, overrides: ConfigOverrides = {}): Promise<Config> {
  const text = file === undefined ? '' : await read(file);
  return parseConfig(text, { ...(file === undefined ? {} : { file }), overrides });
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new ConfigError(
      [
        {
          path: '',
          message: `cannot read ${file}: ${reason === 'ENOENT' ? 'there is no such file' : reason}`,
          fix: 'name another file with --config, or start without one to run with the defaults',
        },
      ],
      file,
    );
  }
}

/** The configuration that `text` describes, with `overrides` over it and the defaults beneath. */
export function parseConfig(
  text: string,
  { file, overrides = {} }: { file?: string; overrides?: ConfigOverrides } = {},
): Config {
  if (text.length > MAX_FILE_BYTES) {
    throw new ConfigError(
      [
        {
          path: '',
          message: `the file is longer than ${MAX_FILE_BYTES} bytes`,
          fix: 'is it the right file?',
        },
      ],
      file,
    );
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map((error) => ({
        path: '',
        message: `not YAML: ${error.message}`,
        line: lines.linePos(error.pos[0]).line,
      })),
      file,
    );
  }
  const fromFile: unknown = document.toJS({ maxAliasCount: 100 }) ?? {};
  const overridden = override(fromFile, overrides);
  const value = Default(ConfigSchema, overridden.value);
  const problems = problemsOf(value).map((problem) => {
    const line = overridden.paths.has(problem.path) ? undefined : lineOf(document, lines, problem.path);
    return line === undefined ? problem : { ...problem, line };
  });
  if (problems.length > 0) throw new ConfigError(problems, file);
  return value as Config;
}

function override(value: unknown, overrides: ConfigOverrides): { value: unknown; paths: Set<string> } {
  const paths = new Set<string>();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { value, paths };
  const result: Record<string, unknown> = structuredClone(value) as Record<string, unknown>;
  const set = (path: string, to: unknown): void => {
    if (to === undefined) return;
    paths.add(path);
    const [first = '', second] = path.split('.');
    if (second === undefined) {
      result[first] = to;
      return;
    }
    const inner = result[first] ?? {};
    if (typeof inner === 'object' && inner !== null) result[first] = { ...inner, [second]: to };
  };
  set('openflow.listen', overrides.openflow);
  set('hub.listen', overrides.hub);
  set('http.listen', overrides.http);
  set('store.driver', overrides.store);
  set('store.etcd', overrides.etcd);
  set('data', overrides.data);
  if (overrides.kubernetes !== undefined) set('kubernetes.enabled', true);
  if (typeof overrides.kubernetes === 'string') set('kubernetes.kubeconfig', overrides.kubernetes);
  set('log.level', overrides.logLevel);
  return { value: result, paths };
}

interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** All errors; TypeBox stops at eight unless told otherwise, and tells every schema of the process at once. */
function allErrors(value: unknown): readonly SchemaError[] {
  const { maxErrors } = Settings.Get();
  Settings.Set({ maxErrors: 1000 });
  try {
    return Errors(ConfigSchema, value) as readonly SchemaError[];
  } finally {
    Settings.Set({ maxErrors });
  }
}

function problemsOf(value: unknown): ConfigProblem[] {
  const errors = allErrors(value);
  const problems = new Map<string, ConfigProblem>();
  const choices = new Map<string, unknown[]>();
  for (const { keyword, instancePath, params, message } of errors) {
    const path = instancePath.slice(1).replaceAll('/', '.');
    const shown = show(at(value, path));
    if (keyword === 'const') {
      // one per member of a union; the union's own error follows
      choices.set(path, [...(choices.get(path) ?? []), params['allowedValue']]);
    } else if (keyword === 'anyOf') {
      const allowed = (choices.get(path) ?? []).join(', ');
      problems.set(path, { path, message: `${shown} is not one of: ${allowed}` });
    } else if (keyword === 'boolean') {
      const known = Object.keys(propertiesAt(path.split('.').slice(0, -1)) ?? {});
      problems.set(path, {
        path,
        message: 'there is no such setting',
        ...(known.length > 0 ? { fix: `known here: ${known.join(', ')}` } : {}),
      });
    } else if (keyword === 'format' && params['format'] === 'address') {
      const fix = 'write ADDRESS:PORT, such as 127.0.0.1:9999, [::1]:9999 or 0.0.0.0:6653';
      problems.set(path, { path, message: `${shown} is not an address with a port`, fix });
    } else if (keyword === 'format') {
      problems.set(path, {
        path,
        message: `${shown} is not a URL`,
        fix: 'write http://HOST:PORT or https://HOST:PORT without a path',
      });
    } else if (keyword !== 'additionalProperties') {
      problems.set(path, { path, message: `${shown} ${message}` });
    }
  }
  return [...problems.values()];
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'a mapping';
  return JSON.stringify(value);
}

function at(value: unknown, path: string): unknown {
  let here = value;
  for (const step of path === '' ? [] : path.split('.')) {
    here = typeof here === 'object' && here !== null ? (here as Record<string, unknown>)[step] : undefined;
  }
  return here;
}

function propertiesAt(path: readonly string[]): Readonly<Record<string, unknown>> | undefined {
  let schema: unknown = ConfigSchema;
  for (const step of path) schema = (schema as { properties?: Record<string, unknown> }).properties?.[step];
  return (schema as { properties?: Record<string, unknown> } | undefined)?.properties;
}

/** Line of the setting at `path`, or of the nearest thing around it that stands in the file. */
function lineOf(document: Document, lines: LineCounter, path: string): number | undefined {
  const steps = path === '' ? [] : path.split('.');
  for (let length = steps.length; length > 0; length--) {
    const keys = steps.slice(0, length).map((step) => (/^\d+$/.test(step) ? Number(step) : step));
    const node = document.getIn(keys, true) as { range?: [number, number, number] } | undefined;
    if (node?.range !== undefined && node.range !== null) return lines.linePos(node.range[0]).line;
  }
  return undefined;
}

/** Where state goes when nothing says otherwise. */
export function defaultDataDirectory(
  environment: NodeJS.ProcessEnv = process.env,
  userId: number = process.getuid?.() ?? 0,
): string {
  const fromSystemd = environment['STATE_DIRECTORY']?.split(':')[0];
  if (fromSystemd !== undefined && fromSystemd !== '') return fromSystemd;
  if (userId === 0) return '/var/lib/weft';
  return join(environment['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'weft');
}
