/** Remembers where in a file the objects came from, beside the objects: they stay plain data. */

export interface Location {
  readonly file?: string;
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
}

const locations = new WeakMap<object, ReadonlyMap<string, Location>>();

/** `members` maps the members of the object, and '' for the object itself, to their places. */
export function rememberLocations(object: object, members: ReadonlyMap<string, Location>): void {
  locations.set(object, members);
}

export function locate(object: object, member: string): Location | undefined {
  const members = locations.get(object);
  return members?.get(member) ?? members?.get('');
}
