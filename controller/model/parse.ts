/**
 * Intent files: YAML (any number of documents) or JSON, each holding one object or an array of them. Objects of contiv's model are
 * taken too.
 */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml';
import { contivObjects, isContiv } from './contiv.js';
import type { IntentObject } from './intents.js';
import { itemOffsets, memberOffsets } from './json-locations.js';
import { type Location, rememberLocations } from './locations.js';
import type { ParseOptions, ParseResult, Problem } from './types.js';
import { validateObject } from './validate.js';

export function parseIntents(text: string, options: ParseOptions = {}): ParseResult {
  const problems: Problem[] = [];
  const format = options.format ?? (/^\s*[[{]/.test(text) ? 'json' : 'yaml');
  const values = format === 'json' ? readJson(text, options, problems) : readYaml(text, options, problems);
  const objects: IntentObject[] = [];
  for (const value of values.flatMap((one) => (isContiv(one) ? contivObjects(one, problems) : [one]))) {
    const result = validateObject(value);
    if ('object' in result) objects.push(result.object);
    else problems.push(...result.problems);
  }
  return { objects, problems };
}

function readJson(text: string, options: ParseOptions, problems: Problem[]): unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    const values: unknown[] = Array.isArray(value) ? value : [value];
    // JSON.parse knows no lines; they are looked for when something is wrong.
    const offsets = once(() => itemOffsets(text));
    const lines = once(() => new Lines(text));
    for (const [index, one] of values.entries()) {
      if (typeof one !== 'object' || one === null) continue;
      rememberLocations(
        one,
        once(() => {
          const members = memberOffsets(text, offsets()[index] ?? 0);
          return new Map([...members].map(([path, offset]) => [path, lines().place(offset, options)]));
        }),
      );
    }
    return values;
  } catch (error) {
    // JSON with comments or several documents is YAML; where it is neither, YAML's error names the line.
    const before = problems.length;
    const values = readYaml(text, options, problems);
    if (problems.length === before && options.format === 'json') {
      problems.push(syntaxProblem(error instanceof Error ? error.message : String(error), options));
      return [];
    }
    return values;
  }
}

function readYaml(text: string, options: ParseOptions, problems: Problem[]): unknown[] {
  const lines = new LineCounter();
  // Aliases may not be used to blow a small file up; merges and tags have no use here.
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const place = (offset: number): Location => {
    const { line, col } = lines.linePos(offset);
    return { ...(options.file === undefined ? {} : { file: options.file }), line, column: col };
  };
  const values: unknown[] = [];
  for (const document of 'empty' in documents ? [] : documents) {
    for (const error of document.errors)
      problems.push(syntaxProblem(error.message, options, place(error.pos[0])));
    if (document.errors.length > 0 || document.contents === null) continue;
    const contents: Node = document.contents;
    const nodes = isSeq(contents) ? (contents.items as Node[]) : [contents];
    for (const node of nodes) {
      if (isScalar(node) && node.value === null) continue;
      try {
        const value: unknown = node.toJS(document, { maxAliasCount: 100 });
        if (typeof value === 'object' && value !== null)
          rememberLocations(
            value,
            once(() => memberLocations(node, place)),
          );
        values.push(value);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        problems.push(syntaxProblem(message, options, place(node.range?.[0] ?? 0)));
      }
    }
  }
  return values;
}

/** Lines of a text, counted once. */
class Lines {
  readonly #starts: number[] = [0];

  constructor(text: string) {
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1))
      this.#starts.push(end + 1);
  }

  place(offset: number, { file }: ParseOptions): Location {
    let [low, high] = [0, this.#starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] as number) <= offset) low = middle;
      else high = middle;
    }
    const column = offset - (this.#starts[low] as number) + 1;
    return { ...(file === undefined ? {} : { file }), line: low + 1, column };
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** Places of all members, those of lists and objects inside too: `rules[2].ports[0]`. */
function memberLocations(root: Node, place: (offset: number) => Location): Map<string, Location> {
  const members = new Map<string, Location>();
  const visit = (node: unknown, path: string) => {
    if (isMap(node)) {
      for (const { key, value } of node.items) {
        if (!isScalar(key) || !key.range) continue;
        const member = path === '' ? String(key.value) : `${path}.${String(key.value)}`;
        members.set(member, place(key.range[0]));
        visit(value, member);
      }
    } else if (isSeq(node)) {
      for (const [index, item] of (node.items as Node[]).entries()) {
        const member = `${path}[${index}]`;
        if (item.range) members.set(member, place(item.range[0]));
        visit(item, member);
      }
    }
  };
  if (root.range) members.set('', place(root.range[0]));
  visit(root, '');
  return members;
}

function syntaxProblem(message: string, options: ParseOptions, location?: Location): Problem {
  return {
    severity: 'error',
    code: 'intent.syntax',
    message: `the file cannot be read: ${message}`,
    fix: 'write YAML or JSON',
    ...(options.file === undefined ? {} : { file: options.file }),
    ...location,
  };
}
