/** Collects what is wrong with the objects of one request, so that people see everything at once. */
import { idOf, type IntentObject } from './intents.js';
import { locate } from './locations.js';
import { ModelError, type Problem } from './types.js';

/** `Network acme/front`. */
export const nameOf = (object: IntentObject): string => `${object.kind} ${idOf(object)}`;

export class Problems {
  readonly list: Problem[] = [];
  #errors = 0;

  get errors(): number {
    return this.#errors;
  }

  get warnings(): Problem[] {
    return this.list.filter((problem) => problem.severity === 'warning');
  }

  add(problem: Problem): void {
    this.list.push(problem);
    if (problem.severity === 'error') this.#errors += 1;
  }

  /** `member` is empty when the object as a whole is meant. */
  error(object: IntentObject, member: string, code: string, message: string, fix: string): void {
    this.add(problemOf('error', object, member, code, message, fix));
  }

  warn(object: IntentObject, member: string, code: string, message: string, fix?: string): void {
    this.add(problemOf('warning', object, member, code, message, fix));
  }

  /** Throws ModelError when there is an error among them. */
  throwErrors(): void {
    if (this.#errors > 0) throw new ModelError(this.list);
  }
}

function problemOf(
  severity: Problem['severity'],
  object: IntentObject,
  member: string,
  code: string,
  message: string,
  fix: string | undefined,
): Problem {
  const path = member === '' ? nameOf(object) : `${nameOf(object)}: ${member}`;
  return {
    severity,
    code,
    message: `${path}: ${message}`,
    path,
    ...(fix === undefined ? {} : { fix }),
    ...locate(object, member),
  };
}

/** A refusal for a single reason. */
export function refuse(
  code: string,
  message: string,
  details: { path?: string; fix?: string } = {},
): ModelError {
  return new ModelError([{ severity: 'error', code, message, ...details }]);
}

/** `a, b, c and 12 more`. */
export function enumerate(names: Iterable<string>, limit = 5): string {
  const all = [...names].sort();
  const shown = all.slice(0, limit).join(', ');
  return all.length > limit ? `${shown} and ${all.length - limit} more` : shown;
}

/** The candidate that was probably meant; undefined when none is near. */
export function suggest(text: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.min(3, Math.ceil(text.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance =
      candidate.toLowerCase() === text.toLowerCase() ? 0 : editDistance(text, candidate, bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `did you mean "x"?`, or what to do otherwise. */
export function didYouMean(text: string, candidates: Iterable<string>, otherwise: string): string {
  const suggestion = suggest(text, candidates);
  return suggestion === undefined ? otherwise : `did you mean "${suggestion}"?`;
}

/** Insertions, deletions, replacements and exchanges of neighbours; `limit` when there are at least so many. */
function editDistance(left: string, right: string, limit: number): number {
  if (Math.abs(left.length - right.length) >= limit) return limit;
  // What both begin and end with costs nothing; ids of one network differ in little else.
  let first = 0;
  while (first < left.length && left[first] === right[first]) first += 1;
  let ends = 0;
  while (
    ends < Math.min(left.length, right.length) - first &&
    left[left.length - 1 - ends] === right[right.length - 1 - ends]
  ) {
    ends += 1;
  }
  return middleDistance(
    left.slice(first, left.length - ends),
    right.slice(first, right.length - ends),
    limit,
  );
}

function middleDistance(left: string, right: string, limit: number): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1];
      let distance = Math.min(
        (previous[column] as number) + 1,
        (current[column - 1] as number) + 1,
        (previous[column - 1] as number) + (same ? 0 : 1),
      );
      if (
        row > 1 &&
        column > 1 &&
        left[row - 1] === right[column - 2] &&
        left[row - 2] === right[column - 1]
      ) {
        distance = Math.min(distance, (beforePrevious[column - 2] as number) + 1);
      }
      current.push(distance);
    }
    // It only grows from here; an exchange looks back one row further.
    if (Math.min(...current) >= limit && Math.min(...previous) >= limit) return limit;
    beforePrevious = previous;
    previous = current;
  }
  return Math.min(previous[right.length] as number, limit);
}
