import type { TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';

/** The first thing wrong with a value: where, what, and what would be right. */
export interface Mismatch {
  /** `attachments[0].interface`, or empty for the value itself. */
  readonly path: string;
  readonly message: string;
  readonly fix: string;
}

const validators = new WeakMap<TSchema, Validator>();

/** Checks a value against a schema (compiled on first use). Undefined when it fits. */
export function mismatch(schema: TSchema, value: unknown): Mismatch | undefined {
  let validator = validators.get(schema);
  if (validator === undefined) {
    validator = Compile(schema);
    validators.set(schema, validator);
  }
  if (validator.Check(value)) return undefined;
  const error = validator.Errors(value)[0];
  if (error === undefined) return { path: '', message: 'does not match its schema', fix: describe(schema) };
  let pointer = error.instancePath;
  let message = error.message;
  if (error.keyword === 'required') {
    pointer += `/${error.params.requiredProperties[0] ?? ''}`;
    message = 'is missing';
  } else {
    message += `, not ${shown(at(value, pointer))}`;
  }
  return { path: readable(pointer), message, fix: `give ${describe(subschema(schema, pointer))}` };
}

function segments(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function readable(pointer: string): string {
  let path = '';
  for (const segment of segments(pointer)) {
    if (/^\d+$/.test(segment)) path += `[${segment}]`;
    else path += path === '' ? segment : `.${segment}`;
  }
  return path;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function at(value: unknown, pointer: string): unknown {
  let current = value;
  for (const segment of segments(pointer)) current = isRecord(current) ? current[segment] : undefined;
  return current;
}

function subschema(schema: TSchema, pointer: string): unknown {
  let current: unknown = schema;
  for (const segment of segments(pointer)) {
    if (!isRecord(current)) return undefined;
    const properties = current['properties'];
    current = isRecord(properties) ? properties[segment] : current['items'];
  }
  return current;
}

function describe(schema: unknown): string {
  if (!isRecord(schema)) return 'a value that the protocol names';
  if (typeof schema['description'] === 'string') return schema['description'];
  if ('const' in schema) return shown(schema['const']);
  const alternatives = schema['anyOf'];
  if (Array.isArray(alternatives)) return alternatives.map(describe).join(' or ');
  const type = typeof schema['type'] === 'string' ? schema['type'] : 'value';
  const article = /^[aeiou]/.test(type) ? 'an' : 'a';
  return 'pattern' in schema
    ? `${article} ${type} that matches ${String(schema['pattern'])}`
    : `${article} ${type}`;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
