/**
 * What every benchmark here shares: contenders measured in turn in the same run, medians with their spread, and one shape of
 * result, in which each figure stands beside that of a peer.
 */

/** One figure of Weft beside one of a peer, both measured in this run. */
export interface Result {
  readonly name: string;
  readonly unit: string;
  /** Median of the rounds. */
  readonly value: number;
  readonly peer: string;
  readonly peerValue: number;
  /** Largest less smallest round, as a part of the median: what differences mean nothing. */
  readonly spread?: number;
  readonly peerSpread?: number;
  /** Whether a large value is good (a rate) or a small one (a time). */
  readonly better: 'higher' | 'lower';
  /** What `value / peerValue` is meant to reach: at least this where higher is better, else at most. */
  readonly target?: number;
}

/** What a file of this folder exports so that `npm run bench` finds it. */
export interface Benchmark {
  /** Runs to completion and cleans up. `rounds`: measured ones; default as the benchmark thinks fit. */
  run(options: { readonly rounds?: number }): Promise<readonly Result[]>;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export const spread = (values: readonly number[]): number =>
  (Math.max(...values) - Math.min(...values)) / median(values);

/** The value that this share of them does not pass. */
export function percentile(share: number, values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Milliseconds that the work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** A result out of the rounds of both. */
export function compare(
  name: string,
  unit: string,
  ours: readonly number[],
  peer: string,
  theirs: readonly number[],
  expectation: Pick<Result, 'better' | 'target'>,
): Result {
  return {
    name,
    unit,
    value: median(ours),
    peer,
    peerValue: median(theirs),
    spread: spread(ours),
    peerSpread: spread(theirs),
    ...expectation,
  };
}

/**
 * Measures the contenders one after the other, again and again, so that what else the machine does meets them all. The
 * first round warms up and does not count.
 */
export async function inTurn<Name extends string>(
  rounds: number,
  contenders: Readonly<Record<Name, () => number | Promise<number>>>,
): Promise<Readonly<Record<Name, readonly number[]>>> {
  const names = Object.keys(contenders) as Name[];
  const figures = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const figure = await contenders[name]();
      if (round > 0) figures[name].push(figure);
    }
  }
  return figures;
}

export const ratioOf = (result: Result): number => result.value / result.peerValue;

/** Whether the target is reached; undefined where there is none. */
export function reached({ target, better, ...result }: Result): boolean | undefined {
  if (target === undefined) return undefined;
  const ratio = result.value / result.peerValue;
  return better === 'higher' ? ratio >= target : ratio <= target;
}

const HEADER = ['benchmark', 'Weft', '', 'unit', 'peer', '', '', 'ratio', 'target'] as const;

function figure(value: number): string {
  const digits = value >= 100 ? 0 : value >= 1 ? 2 : 4;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

const plusMinus = (value: number | undefined): string =>
  value === undefined ? '' : `±${(50 * value).toFixed(0)}%`;

function row(result: Result): readonly string[] {
  const { target, better } = result;
  const verdict = reached(result) === true ? 'reached' : 'missed';
  return [
    result.name,
    figure(result.value),
    plusMinus(result.spread),
    result.unit,
    result.peer,
    figure(result.peerValue),
    plusMinus(result.peerSpread),
    figure(ratioOf(result)),
    target === undefined ? '' : `${better === 'higher' ? '>=' : '<='} ${target} ${verdict}`,
  ];
}

const RIGHT = new Set([1, 2, 5, 6, 7]);

/** The results as a table for people. */
export function table(results: readonly Result[]): string {
  const rows = [HEADER, ...results.map(row)];
  const widths = HEADER.map((_, column) => Math.max(...rows.map((cells) => (cells[column] ?? '').length)));
  return rows
    .map((cells) =>
      cells
        .map((cell, i) => (RIGHT.has(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
