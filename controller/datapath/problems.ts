/** What apps report about the facts: something that cannot work as it stands, whatever the switch does. */
import type { DatapathId } from '../model/facts.js';

export interface Problem {
  /** Stable, for programs: `vxlan.host.no-tunnel-address`. */
  readonly code: string;
  /** What it is about: a host, an endpoint. One problem of a code about one subject. */
  readonly subject: string;
  /** What is wrong and what does not work because of it. */
  readonly message: string;
  /** What a person can do about it. */
  readonly fix: string;
}

export interface ProblemChange {
  readonly datapathId: DatapathId;
  readonly problem: Problem;
  /** The facts are different now, and it is none any more. */
  readonly solved: boolean;
}

/** The problems that stand, by switch. */
export class ProblemTable {
  readonly #problems = new Map<DatapathId, Map<string, Problem>>();
  #changes: ProblemChange[] = [];

  /** `key` is unique to who reports and what; `problem` absent: it is solved. */
  put(datapathId: DatapathId, key: string, problem: Problem | undefined): void {
    const known = this.#problems.get(datapathId) ?? new Map<string, Problem>();
    const before = known.get(key);
    if (problem === undefined) known.delete(key);
    else known.set(key, problem);
    if (known.size === 0) this.#problems.delete(datapathId);
    else this.#problems.set(datapathId, known);
    const changed = problem ?? before;
    if (changed !== undefined) {
      this.#changes.push({ datapathId, problem: changed, solved: problem === undefined });
    }
  }

  of(datapathId: DatapathId): readonly Problem[] {
    return [...(this.#problems.get(datapathId)?.values() ?? [])].sort(byCodeAndSubject);
  }

  /** The changes since the last call, in the order of rules. */
  takeChanges(): readonly ProblemChange[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }
}

function byCodeAndSubject(a: Problem, b: Problem): number {
  const [first, second] = [`${a.code} ${a.subject}`, `${b.code} ${b.subject}`];
  return first < second ? -1 : first > second ? 1 : 0;
}
