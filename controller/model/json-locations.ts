/**
 * Where the values of a JSON text are, for problems with objects that `JSON.parse` has read. Walks over the text only, which has
 * been found to be JSON: a large document must not hold the controller up because one rule in it is worth a warning.
 */

/** Offset of each item of the array that a text holds, or of the one value that it holds. */
export function itemOffsets(text: string): number[] {
  const start = skipBlanks(text, 0);
  if (text[start] !== '[') return [start];
  const offsets: number[] = [];
  eachItem(text, start, (offset) => {
    offsets.push(offset);
    return skipValue(text, offset);
  });
  return offsets;
}

/** Deeper than any intent. */
const DEEPEST = 10;

/** Offsets of everything inside of the value at an offset, by path: `rules[2].ports[0]`; members stand where their key does. */
export function memberOffsets(text: string, offset: number): Map<string, number> {
  const offsets = new Map<string, number>([['', offset]]);
  visit(text, offset, '', 0, offsets);
  return offsets;
}

/** Returns the offset behind the value. */
function visit(
  text: string,
  offset: number,
  path: string,
  depth: number,
  offsets: Map<string, number>,
): number {
  if (depth > DEEPEST) return skipValue(text, offset);
  if (text[offset] === '[') {
    let index = 0;
    return eachItem(text, offset, (item) => {
      const member = `${path}[${index}]`;
      index += 1;
      offsets.set(member, item);
      return visit(text, item, member, depth + 1, offsets);
    });
  }
  if (text[offset] !== '{') return skipValue(text, offset);
  return eachItem(text, offset, (key) => {
    const end = skipString(text, key);
    const name = JSON.parse(text.slice(key, end)) as string;
    const member = path === '' ? name : `${path}.${name}`;
    // Of a member that is called nothing, or twice the same, the first place counts.
    if (!offsets.has(member)) offsets.set(member, key);
    const colon = skipBlanks(text, end);
    return visit(text, skipBlanks(text, colon + 1), member, depth + 1, offsets);
  });
}

/** Tells the offset of each item of an array, or of each key of an object; `take` returns the offset behind what it has taken. */
function eachItem(text: string, open: number, take: (offset: number) => number): number {
  let offset = skipBlanks(text, open + 1);
  while (offset < text.length && text[offset] !== ']' && text[offset] !== '}') {
    offset = skipBlanks(text, take(offset));
    if (text[offset] === ',') offset = skipBlanks(text, offset + 1);
  }
  return offset + 1;
}

function skipBlanks(text: string, offset: number): number {
  let end = offset;
  while (end < text.length && text.charCodeAt(end) <= 0x20) end += 1;
  return end;
}

/** From the opening quote to behind the closing one. */
function skipString(text: string, offset: number): number {
  let end = offset + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
  return end + 1;
}

/** Without recursion: what is nested too deep to be an intent is skipped as well. */
function skipValue(text: string, offset: number): number {
  let depth = 0;
  let end = offset;
  do {
    const character = text[end];
    if (character === '"') end = skipString(text, end);
    else {
      if (character === '{' || character === '[') depth += 1;
      else if (character === '}' || character === ']') depth -= 1;
      // A number or a word on its own ends before what follows it.
      else if (depth === 0) return skipWord(text, end);
      end += 1;
    }
  } while (depth > 0 && end < text.length);
  return end;
}

function skipWord(text: string, offset: number): number {
  let end = offset;
  while (end < text.length && !/[\s,\]}]/.test(text[end] as string)) end += 1;
  return end;
}
