/**
 * Checks one object against the schema of its kind and says what is wrong in people's words. Knows those of JSON Schema's words
 * that the schemas of the intents use.
 */
import { Compile } from 'typebox/compile';
import {
  LABEL_KEY_PATTERN,
  LABEL_KEY_RULE,
  LABEL_VALUE_PATTERN,
  LABEL_VALUE_RULE,
  NAME_PATTERN,
  NAME_RULE,
  PORT_NAME_PATTERN,
  PORT_NAME_RULE,
} from './intent-schema.js';
import { INTENT_SCHEMAS, type IntentObject, type Kind, KINDS } from './intents.js';
import { locate } from './locations.js';
import { didYouMean } from './problems.js';
import type { Problem } from './types.js';

/** What this file reads of a schema. */
interface Schema {
  readonly type?: 'string' | 'integer' | 'boolean' | 'array' | 'object';
  readonly const?: string;
  readonly anyOf?: readonly Schema[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** Of maps: pattern of the keys, schema of the values. */
  readonly patternProperties?: Readonly<Record<string, Schema>>;
}

/** What texts of a pattern look like, in words. */
const RULES: Readonly<Record<string, string>> = {
  [NAME_PATTERN]: NAME_RULE,
  [PORT_NAME_PATTERN]: PORT_NAME_RULE,
  [LABEL_KEY_PATTERN]: LABEL_KEY_RULE,
  [LABEL_VALUE_PATTERN]: LABEL_VALUE_RULE,
};

const validators = Object.fromEntries(
  KINDS.map((kind) => [kind, Compile(INTENT_SCHEMAS[kind])]),
) as unknown as Record<Kind, { Check(value: unknown): boolean }>;

/** The object when it fits its schema, otherwise every reason why not. */
export function validateObject(value: unknown): { object: IntentObject } | { problems: Problem[] } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return {
      problems: [
        {
          severity: 'error',
          code: 'intent.object',
          message: `an intent is an object with a kind, not ${describe(value)}`,
          fix: `write {"kind": "Network", "name": …}; kinds are ${KINDS.join(', ')}`,
        },
      ],
    };
  }
  const kind = (value as { kind?: unknown }).kind;
  if (typeof kind !== 'string' || !KINDS.includes(kind as Kind)) {
    const known = `kinds are ${KINDS.join(', ')}`;
    return {
      problems: [
        problem(
          value,
          'kind',
          'intent.kind',
          kind === undefined ? 'kind is missing' : `kind ${describe(kind)} is not known`,
          typeof kind === 'string' ? didYouMean(kind, KINDS, known) : known,
        ),
      ],
    };
  }
  if (validators[kind as Kind].Check(value)) return { object: value as IntentObject };
  return { problems: explain(value as Record<string, unknown>, kind as Kind) };
}

function explain(value: Record<string, unknown>, kind: Kind): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (path, code, message, fix) =>
    problems.push(problem(value, path, `intent.${code}`, message, fix));
  explainObject(INTENT_SCHEMAS[kind] as unknown as Schema, value, '', `a ${kind}`, report);
  return problems;
}

type Report = (path: string, code: string, message: string, fix: string) => void;

/** `what` stands for the object in sentences. */
function explainObject(
  schema: Schema,
  value: Record<string, unknown>,
  path: string,
  what: string,
  report: Report,
): void {
  const { properties: members = {}, required = [] } = schema;
  const pathOf = (key: string) => (path === '' ? key : `${path}.${key}`);
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(members, key)) continue;
    const known = `members of ${what} are ${Object.keys(members).join(', ')}`;
    report(
      pathOf(key),
      'unknown-key',
      `"${shorten(key)}" is not known`,
      didYouMean(key, Object.keys(members), known),
    );
  }
  for (const key of required) {
    if (value[key] === undefined) report(pathOf(key), 'missing', 'is missing', `add ${key}: …`);
  }
  for (const [key, member] of Object.entries(members)) {
    if (value[key] !== undefined) explainValue(member, value[key], pathOf(key), report);
  }
}

function explainValue(schema: Schema, value: unknown, path: string, report: Report): void {
  if (schema.type === 'array') {
    if (!Array.isArray(value)) {
      return report(path, 'value', `${describe(value)} is not a list`, 'write a list: [ … ]');
    }
    if (value.length > (schema.maxItems ?? Infinity)) {
      report(path, 'value', `has ${value.length} items`, `use up to ${schema.maxItems}`);
    }
    for (const [index, item] of value.entries())
      explainValue(schema.items ?? {}, item, `${path}[${index}]`, report);
  } else if (schema.type === 'object') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      report(path, 'value', `${describe(value)} is not an object`, 'write it like {key: value}');
    } else if (schema.patternProperties === undefined) {
      explainObject(schema, value as Record<string, unknown>, path, path.replace(/\[\d+\]$/, '[]'), report);
    } else explainMap(schema.patternProperties, value as Record<string, unknown>, path, report);
  } else {
    const wrong = explainScalar(schema, value);
    if (wrong !== undefined) report(path, 'value', wrong.message, wrong.fix);
  }
}

function explainMap(
  patterns: Readonly<Record<string, Schema>>,
  value: Record<string, unknown>,
  path: string,
  report: Report,
): void {
  const [[pattern, schema] = ['', {}]] = Object.entries(patterns);
  for (const [key, member] of Object.entries(value)) {
    if (!new RegExp(pattern).test(key)) {
      report(path, 'value', `"${shorten(key)}" is not a valid key`, `use ${RULES[pattern] ?? pattern}`);
    } else explainValue(schema, member, `${path}.${key}`, report);
  }
}

/** What is wrong with a value; undefined when nothing is. */
function explainScalar(schema: Schema, value: unknown): { message: string; fix: string } | undefined {
  const found = describe(value);
  if (schema.anyOf !== undefined) {
    const choices = schema.anyOf.map((choice) => choice.const).filter((choice) => choice !== undefined);
    if (choices.length === 0) {
      // A number or a text: what is wrong with it as what it is.
      const wrong = schema.anyOf.map((one) => explainScalar(one, value));
      return wrong.includes(undefined)
        ? undefined
        : wrong[schema.anyOf.findIndex(({ type }) => (type === 'string') === (typeof value === 'string'))];
    }
    if (typeof value === 'string' && choices.includes(value)) return undefined;
    const otherwise = `write one of ${choices.join(', ')}`;
    return {
      message: `${found} is not one of ${choices.join(', ')}`,
      fix: typeof value === 'string' ? didYouMean(value, choices, otherwise) : otherwise,
    };
  }
  if (schema.const !== undefined) return undefined;
  if (schema.type === 'boolean') {
    return typeof value === 'boolean'
      ? undefined
      : { message: `${found} is not a boolean`, fix: 'write true or false' };
  }
  if (schema.type === 'integer') {
    const range = `an integer from ${schema.minimum} to ${schema.maximum}`;
    if (typeof value !== 'number' || !Number.isInteger(value))
      return { message: `${found} is not ${range}`, fix: `write ${range}, without quotes` };
    const inside = value >= (schema.minimum ?? -Infinity) && value <= (schema.maximum ?? Infinity);
    return inside ? undefined : { message: `${found} is out of range`, fix: `write ${range}` };
  }
  if (typeof value !== 'string') {
    const scalar = typeof value === 'number' || typeof value === 'boolean';
    return {
      message: `${found} is not text`,
      fix: scalar ? `put it in quotes: "${String(value)}"` : 'write text',
    };
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) {
    const rule = RULES[schema.pattern] ?? `text that matches ${schema.pattern}`;
    const what = schema.pattern === NAME_PATTERN ? 'a valid name' : 'valid here';
    return { message: `${found} is not ${what}`, fix: `use ${rule}` };
  }
  const { minLength = 0, maxLength = Infinity } = schema;
  if (value.length < minLength || value.length > maxLength) {
    return { message: `${found} has ${value.length} characters`, fix: `use ${minLength} to ${maxLength}` };
  }
  return undefined;
}

function problem(value: object, member: string, code: string, message: string, fix: string): Problem {
  const path = `${title(value)}: ${member}`;
  return { severity: 'error', code, message: `${path}: ${message}`, path, fix, ...locate(value, member) };
}

/** `Network acme/front`, as far as the object says. */
function title(value: object): string {
  const { kind, tenant, network, policy, name } = value as Record<string, unknown>;
  const names = [tenant, network, policy, name].filter(
    (part) => typeof part === 'string' && part.length <= 64,
  );
  return [typeof kind === 'string' ? kind : 'object', names.join('/')].filter(Boolean).join(' ');
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  return shorten(JSON.stringify(value) ?? String(value));
}

const shorten = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)}…` : text);
