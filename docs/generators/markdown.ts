/** Bits of Markdown that the generated pages share. */

export const GENERATED = (from: string): string =>
  `<!-- Made by docs/generate.ts from ${from}. Run "npm run docs" after changing that; a test holds them together. -->`;

export function markdownTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [line(headings), `| ${headings.map(() => '---').join(' | ')} |`, ...rows.map(line)].join('\n');
}

export const code = (text: string): string => `\`${text}\``;
