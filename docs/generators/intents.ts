/** docs/intents.md: every kind and member of the intent format, from its schemas. */
import { stringify } from 'yaml';
import { INTENT_SCHEMAS, KINDS } from '../../controller/model/intents.js';
import { code, GENERATED, markdownTable } from './markdown.js';

interface MemberSchema {
  readonly type?: string;
  readonly items?: MemberSchema;
  readonly properties?: object;
  readonly patternProperties?: Readonly<Record<string, MemberSchema>>;
  readonly const?: unknown;
  readonly anyOf?: readonly MemberSchema[];
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
}

interface KindSchema {
  readonly title: string;
  readonly description: string;
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, MemberSchema>>;
}

export function intentsPage(): string {
  const schemas = KINDS.map((kind) => [kind, INTENT_SCHEMAS[kind] as unknown as KindSchema] as const);
  return [
    GENERATED('controller/model/intents.ts'),
    '# Intents',
    '',
    'An intent says what should exist; the controller makes it so, and keeps it so. Intents are written in YAML or JSON, any',
    'number of objects and kinds in one file (YAML documents separated by `---`, or an array), in any order: what an object',
    'refers to may stand behind it, in another file of the same `weft apply`, or be there already.',
    '',
    '```sh',
    'weft diff -f intents.yaml      # what would change; exit code 6 when something would',
    'weft apply -f intents.yaml     # all of it or nothing; waits until the switches have acknowledged',
    'weft delete -f intents.yaml',
    '```',
    '',
    'Every object has a `kind` and a `name`. Members that are left out get the default below, or a value that the controller',
    'allocates: lowest first, kept as long as the object lives, shown by `weft get`. A mistake refuses the whole request and',
    'is reported with its line, its path and a way out. The JSON Schema of the format is served at `GET /v1/schema`.',
    '',
    "Objects of contiv's model (`rules`, `policys`, `endpointGroups`, `netprofiles`, `networks`, `tenants`, alone, in a list or as contiv's",
    'API lists them) are taken as they are: see `examples/contiv.json`.',
    '',
    '[Policy](policy.md) says what groups, policies and rules mean together, and which rule decides.',
    '',
    `Kinds: ${KINDS.map((kind) => `[${kind}](#${kind.toLowerCase()})`).join(', ')}.`,
    ...schemas.flatMap(([kind, schema]) => ['', ...section(kind, schema)]),
    '',
  ].join('\n');
}

function section(kind: string, { description, required, properties }: KindSchema): string[] {
  const members = Object.entries(properties).filter(([name]) => name !== 'kind');
  const rows = members.map(([name, member]) => [
    code(name),
    typeOf(member),
    required.includes(name) ? 'yes' : '',
    member.description ?? '',
  ]);
  return [
    `## ${kind}`,
    '',
    description,
    '',
    markdownTable(['member', 'type', 'required', 'meaning'], rows),
    '',
    '```yaml',
    stringify(example(kind, members)).trimEnd(),
    '```',
  ];
}

function typeOf(schema: MemberSchema): string {
  const { type, anyOf, items, minimum, maximum, patternProperties } = schema;
  if (anyOf !== undefined)
    return anyOf.map((one) => (one.const === undefined ? typeOf(one) : code(String(one.const)))).join(' or ');
  if (type === 'array') return `list of ${plural(typeOf(items ?? {}))}`;
  if (patternProperties !== undefined) {
    const [value = {}] = Object.values(patternProperties);
    return `map to ${typeOf(value)}`;
  }
  const range = minimum === undefined && maximum === undefined ? '' : ` ${minimum ?? ''} to ${maximum ?? ''}`;
  return `${type ?? 'any'}${range}`;
}

const plural = (type: string): string => type.replace(/^(string|object)$/, '$1s');

const NAMES: Readonly<Record<string, string>> = {
  tenant: 'acme',
  network: 'front',
  host: 'h1',
  policy: 'web',
};
const NAME_OF_KIND: Readonly<Record<string, string>> = {
  Tenant: 'acme',
  Host: 'h1',
  Network: 'front',
  Endpoint: 'web1',
  HostBinding: 'web1',
  Group: 'web',
  AddressSet: 'partners',
  Tier: 'security',
  Policy: 'web',
  Rule: 'http',
  QosProfile: 'gold',
};

/** An object with every member that has an example. */
function example(
  kind: string,
  members: readonly (readonly [string, MemberSchema])[],
): Record<string, unknown> {
  const object: Record<string, unknown> = { kind, name: NAME_OF_KIND[kind] ?? 'name' };
  for (const [name, { examples, anyOf }] of members) {
    if (name === 'name') continue;
    const value = NAMES[name] ?? examples?.[0] ?? anyOf?.at(-1)?.const;
    if (value !== undefined) object[name] = value;
  }
  return object;
}
