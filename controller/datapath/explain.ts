/** Entries in words: for refusals, audits and status. */
import { canonicalFlow, canonicalGroup, canonicalMatch, canonicalMeter } from './canonical.js';
import { cookieLayout, isOurCookie } from './cookie.js';
import type { DesiredTables } from './desired.js';
import type { DesiredEntry } from './entry.js';
import type { RefusedEntry } from './status.js';

/** Explains entries of one set of apps. */
export class Explainer {
  constructor(private readonly desired: Pick<DesiredTables, 'pipeline' | 'ruleName'>) {}

  refused(entry: DesiredEntry, error: string): RefusedEntry {
    return { entry: this.text(entry), owner: this.owner(entry), error };
  }

  /** Who derived the entry: app and rule, and the object number of its cookie. */
  owner(entry: DesiredEntry): string {
    if (entry.kind !== 'flow') return entry.owner;
    if (!isOurCookie(entry.cookie)) return `somebody else (cookie 0x${entry.cookie.toString(16)})`;
    const { app, rule, object } = cookieLayout.decode(entry.cookie);
    const name = this.desired.ruleName(app, rule) ?? `unknown rule ${rule} of app ${app}`;
    return object === 0 ? name : `${name} object ${object}`;
  }

  text(entry: DesiredEntry): string {
    switch (entry.kind) {
      case 'flow': {
        const table = this.desired.pipeline.order[entry.table]?.name ?? entry.table;
        return `table=${table} priority=${entry.priority} ${canonicalMatch(entry.match)} ${canonicalFlow(entry)}`;
      }
      case 'group':
        return `group_id=${entry.id} ${canonicalGroup(entry)}`;
      case 'meter':
        return `meter=${entry.id} ${canonicalMeter(entry)}`;
    }
  }
}
