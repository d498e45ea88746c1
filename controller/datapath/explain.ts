/** Entries in words: for refusals, audits and status. */
import { formatGroup, formatInstructions, formatMatch, formatMeter } from '../../ofproto/index.js';
import type { DifferingEntry } from './compare.js';
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

  /** What an audit found: `missing: table=forward … (bridge.local object 5)`. */
  differing({ kind, entry }: DifferingEntry): string {
    return `${kind}: ${this.text(entry)} (${this.owner(entry)})`;
  }

  /** Who derived the entry: app and rule, and the object number of its cookie. */
  owner(entry: DesiredEntry): string {
    if (entry.kind !== 'flow') return entry.owner;
    if (!isOurCookie(entry.cookie)) return `somebody else (cookie 0x${entry.cookie.toString(16)})`;
    const { app, rule, object } = cookieLayout.decode(entry.cookie);
    const name = this.desired.ruleName(app, rule) ?? `unknown rule ${rule} of app ${app}`;
    return object === 0 ? name : `${name} object ${object}`;
  }

  /** As `ovs-ofctl dump-flows` writes the entry, with the name of its table. */
  text(entry: DesiredEntry): string {
    switch (entry.kind) {
      case 'flow': {
        const table = this.desired.pipeline.order[entry.table]?.name ?? entry.table;
        const match = formatMatch(entry.match);
        const identity = `cookie=0x${entry.cookie.toString(16)}, table=${table}, priority=${entry.priority}`;
        return `${identity}${match === '' ? '' : `,${match}`} actions=${formatInstructions(entry.instructions)}`;
      }
      case 'group':
        return formatGroup({ groupId: entry.id, groupType: entry.groupType, buckets: entry.buckets });
      case 'meter':
        return formatMeter({ meterId: entry.id, flags: entry.flags, bands: entry.bands });
    }
  }
}
