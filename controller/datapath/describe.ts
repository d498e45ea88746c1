/** The pipeline reference, written from the declaration: the page cannot disagree with the code. */
import { isRegisterField, type PipelineField, type RegisterField } from './fields.js';
import type { Pipeline, Table } from './pipeline.js';

/** Markdown: the tables in order with what they match, set and lead to, and the register fields with their bits. */
export function describePipeline(pipeline: Pipeline): string {
  return [
    '# Pipeline',
    '',
    'Written from the declaration by `describePipeline`; do not edit.',
    '',
    ...overview(pipeline),
    '',
    ...pipeline.order.flatMap(section),
    ...registerSection(pipeline),
  ].join('\n');
}

function overview({ order }: Pipeline): string[] {
  return [
    '| id | table | stage | leads to | miss |',
    '| --- | --- | --- | --- | --- |',
    ...order.map(
      (table) =>
        `| ${table.id} | [${table.name}](#${table.name}) | ${table.stage} | ${targets(table)} | ${miss(table)} |`,
    ),
  ];
}

function section(table: Table): string[] {
  const lines = [`## ${table.name}`, '', `Table ${table.id}, stage ${table.stage}. ${table.description}`, ''];
  lines.push(`- Matches: ${fieldNames(table.match)}`);
  lines.push(`- Sets: ${fieldNames(table.set)}`);
  lines.push(`- Leads to: ${targets(table)}`);
  lines.push(`- Miss: ${miss(table)}`, '');
  return lines;
}

function targets(table: Table): string {
  const names = [...table.goto, ...table.resubmit.map((name) => `${name} (resubmit)`)];
  return names.length === 0 ? 'nothing' : names.join(', ');
}

function miss(table: Table): string {
  return table.next === undefined ? 'drop' : `continue in ${table.next.name}`;
}

function fieldNames(fields: readonly PipelineField[]): string {
  return fields.length === 0 ? 'nothing' : fields.map((field) => `\`${field.name}\``).join(', ');
}

function registerSection({ order }: Pipeline): string[] {
  const fields = new Map<string, RegisterField>();
  for (const table of order) {
    for (const field of [...table.match, ...table.set])
      if (isRegisterField(field)) fields.set(field.name, field);
  }
  if (fields.size === 0) return [];
  const sorted = [...fields.values()].sort((a, b) => a.field.number - b.field.number || a.offset - b.offset);
  return [
    '## Register fields',
    '',
    '| field | bits | meaning |',
    '| --- | --- | --- |',
    ...sorted.map(
      ({ name, field, offset, bits, description }) =>
        `| \`${name}\` | ${field.name}[${offset}..${offset + bits - 1}] | ${description} |`,
    ),
    '',
  ];
}
