/** Remembers where in a file the objects came from, beside the objects: they stay plain data. */

export interface Location {
  readonly file?: string;
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
}

/** Places of the members of an object by their path (`rules[2].ports`), and of the object itself under ''. */
export type MemberLocations = ReadonlyMap<string, Location>;

/** Shared by an object and its copies. */
interface Place {
  members: (() => MemberLocations | undefined) | undefined;
}

const places = new WeakMap<object, Place>();

/** `members` is asked when somebody wants to know: most objects have nothing wrong. */
export function rememberLocations(object: object, members: () => MemberLocations | undefined): void {
  places.set(object, { members });
}

/** Records hold intents for as long as these are in force; the texts that they came from need not stay as long. */
export function forgetLocations(object: object): void {
  const place = places.get(object);
  if (place !== undefined) place.members = undefined;
}

/** The copy stands where the object stands, or where a part of it does (`rules[2]`). */
export function copyLocations(object: object, copy: object, part = ''): void {
  const place = places.get(object);
  if (place === undefined) return;
  places.set(copy, part === '' ? place : { members: () => partOf(place.members?.(), part) });
}

function partOf(members: MemberLocations | undefined, part: string): MemberLocations | undefined {
  if (members === undefined) return undefined;
  const inside = [...members].filter(([path]) => path.startsWith(`${part}.`) || path === part);
  return new Map(inside.map(([path, location]) => [path.slice(part.length + 1), location]));
}

/** Where a member is, or what it is in. */
export function locate(object: object, member: string): Location | undefined {
  const members = places.get(object)?.members?.();
  if (members === undefined) return undefined;
  for (let path = member; path !== ''; path = path.replace(/(^|\.)[^.[]*$|\[\d+\]$/, '')) {
    const found = members.get(path);
    if (found !== undefined) return found;
  }
  return members.get('');
}
