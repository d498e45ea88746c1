/** Remembers where in a file the objects came from, beside the objects: they stay plain data. */

export interface Location {
  readonly file?: string;
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
}

/** Places of the members of an object by their path (`rules[2].ports`), and of the object itself under ''. */
export type MemberLocations = ReadonlyMap<string, Location>;

const locations = new WeakMap<object, () => MemberLocations | undefined>();

/** `members` is asked when somebody wants to know: most objects have nothing wrong. */
export function rememberLocations(object: object, members: () => MemberLocations | undefined): void {
  locations.set(object, members);
}

/** The copy stands where the object stands, or where a part of it does (`rules[2]`). */
export function copyLocations(object: object, copy: object, part = ''): void {
  const members = locations.get(object);
  if (members === undefined) return;
  locations.set(copy, part === '' ? members : () => partOf(members(), part));
}

function partOf(members: MemberLocations | undefined, part: string): MemberLocations | undefined {
  if (members === undefined) return undefined;
  const inside = [...members].filter(([path]) => path.startsWith(`${part}.`) || path === part);
  return new Map(inside.map(([path, location]) => [path.slice(part.length + 1), location]));
}

/** Places of an object and its members; undefined when it came from no file. */
export function locationsOf(object: unknown): MemberLocations | undefined {
  return typeof object === 'object' && object !== null ? locations.get(object)?.() : undefined;
}

/** Where a member is, or what it is in. */
export function locate(object: object, member: string): Location | undefined {
  const members = locationsOf(object);
  if (members === undefined) return undefined;
  for (let path = member; path !== ''; path = path.replace(/(^|\.)[^.[]*$|\[\d+\]$/, '')) {
    const found = members.get(path);
    if (found !== undefined) return found;
  }
  return members.get('');
}
