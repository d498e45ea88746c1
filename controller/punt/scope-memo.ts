/** Something found in the entries of scopes, looked for once as long as no desired table changes: switches share most of their scopes. */
import type { DatapathController, DesiredEntry, ScopeEntries } from '../datapath/index.js';
import type { DatapathId } from '../model/facts.js';

export type DesiredScopes = Pick<DatapathController, 'scopesOf' | 'counters'>;

export class ScopeMemo<T> {
  #found = new WeakMap<ScopeEntries, T>();
  /** Turns that had changed a desired table when it was looked for. */
  #turns = -1;

  constructor(
    private readonly datapaths: DesiredScopes,
    private readonly find: (entries: Iterable<DesiredEntry>) => T,
  ) {}

  /** What was found in each scope of a switch. */
  of(datapathId: DatapathId): T[] {
    const { turns } = this.datapaths.counters;
    if (turns !== this.#turns) this.#found = new WeakMap();
    this.#turns = turns;
    return [...this.datapaths.scopesOf(datapathId)].map((scope) => {
      const known = this.#found.get(scope);
      if (known !== undefined) return known;
      const found = this.find(entriesOf(scope));
      this.#found.set(scope, found);
      return found;
    });
  }
}

function* entriesOf(scope: ScopeEntries): Iterable<DesiredEntry> {
  for (const { entry } of scope.entries.values()) yield entry;
}
