/**
 * Checks one object against the schema of its kind and says what is wrong in people's words. The schemas are flat
 * objects with scalar members (intents.ts), which keeps this short.
 */
import { Compile } from 'typebox/compile';
import { INTENT_SCHEMAS, type IntentObject, type Kind, KINDS, NAME_PATTERN, NAME_RULE } from './intents.js';
import { locate } from './locations.js';
import { didYouMean } from './problems.js';
import type { Problem } from './types.js';

/** What this file reads of a member's schema. */
interface MemberSchema {
  readonly type?: 'string' | 'integer' | 'boolean';
  readonly const?: string;
  readonly anyOf?: readonly { readonly const: string }[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

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
  const schema = INTENT_SCHEMAS[kind];
  const members = schema.properties as unknown as Record<string, MemberSchema>;
  const problems: Problem[] = [];
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(members, key)) continue;
    const known = `members of a ${kind} are ${Object.keys(members).join(', ')}`;
    problems.push(
      problem(
        value,
        key,
        'intent.unknown-key',
        `"${key}" is not known`,
        didYouMean(key, Object.keys(members), known),
      ),
    );
  }
  for (const key of schema.required as readonly string[]) {
    if (value[key] !== undefined) continue;
    problems.push(problem(value, key, 'intent.missing', 'is missing', `add ${key}: …`));
  }
  for (const [key, member] of Object.entries(members)) {
    const found = value[key];
    if (found === undefined) continue;
    const wrong = explainMember(member, found);
    if (wrong !== undefined) problems.push(problem(value, key, 'intent.value', wrong.message, wrong.fix));
  }
  return problems;
}

/** What is wrong with a value; undefined when nothing is. */
function explainMember(schema: MemberSchema, value: unknown): { message: string; fix: string } | undefined {
  const found = describe(value);
  if (schema.anyOf !== undefined) {
    const choices = schema.anyOf.map((choice) => choice.const);
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
  if (typeof value !== 'string')
    return { message: `${found} is not text`, fix: `put it in quotes: "${String(value)}"` };
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) {
    const rule = schema.pattern === NAME_PATTERN ? NAME_RULE : `text that matches ${schema.pattern}`;
    return { message: `${found} is not a valid name`, fix: `use ${rule}` };
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
  const { kind, tenant, network, name } = value as Record<string, unknown>;
  const names = [tenant, network, name].filter((part) => typeof part === 'string' && part.length <= 64);
  return [typeof kind === 'string' ? kind : 'object', names.join('/')].filter(Boolean).join(' ');
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
