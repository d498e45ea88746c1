/** docs/configuration.md: every setting of the controller, from its schema. */
import { ConfigSchema } from '../../controller/config/schema.js';
import { code, GENERATED, markdownTable } from './markdown.js';

interface Setting {
  readonly type?: string;
  readonly anyOf?: readonly { readonly const?: unknown }[];
  readonly properties?: Readonly<Record<string, Setting>>;
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly reload?: 'live' | 'restart';
}

export function configurationPage(): string {
  const settings = Object.entries((ConfigSchema as unknown as Setting).properties ?? {});
  return [
    GENERATED('controller/config/schema.ts'),
    '# Configuration of the controller',
    '',
    '`weft controller --config FILE` reads YAML (or JSON). Options of the command line stand over the file; what neither says',
    'has the default below. A mistake is reported with its line and path, and the controller does not start; at a reload it',
    'keeps what it had. SIGHUP reads the file again: settings marked *live* are taken over at once, for the others the log',
    'says that they wait for a restart.',
    '',
    '```yaml',
    'http:',
    '  listen: 127.0.0.1:9999',
    '  requestsPerSecond: 200',
    'store:',
    '  driver: etcd',
    '  etcd: [http://10.0.0.1:2379, http://10.0.0.2:2379, http://10.0.0.3:2379]',
    'log:',
    '  level: info',
    '  levels: { hub: debug }',
    '```',
    ...settings.flatMap(([name, setting]) => section(name, setting)),
    '',
  ].join('\n');
}

function section(name: string, setting: Setting): string[] {
  const members = Object.entries(setting.properties ?? {});
  const rows =
    members.length === 0 ? [row(name, setting)] : members.map(([key, one]) => row(`${name}.${key}`, one));
  return [
    '',
    `## ${name}`,
    '',
    ...(members.length === 0 ? [] : [setting.description ?? '', '']),
    markdownTable(['setting', 'default', 'values', 'reload', 'meaning'], rows),
  ];
}

function row(
  path: string,
  { default: byDefault, description = '', reload = 'restart', ...setting }: Setting,
): string[] {
  const shown =
    byDefault === undefined
      ? ''
      : code(typeof byDefault === 'string' ? byDefault : JSON.stringify(byDefault));
  return [code(path), shown, valuesOf(setting), reload, description];
}

function valuesOf({ type, anyOf, minimum, maximum }: Setting): string {
  if (anyOf !== undefined) return anyOf.map((one) => code(String(one.const))).join(', ');
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  return type ?? '';
}
