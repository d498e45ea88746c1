/** Entries in words: for refusals, audits and status. */
import { formatGroup, formatInstructions, formatMatch, formatMeter } from '../../ofproto/index.js';
import type { DifferingEntry } from './compare.js';
import type { Owner } from './compile.js';
import { cookieLayout, isOurCookie } from './cookie.js';
import type { DesiredTables } from './desired.js';
import type { DesiredEntry } from './entry.js';
import type { EntryObject, RefusedEntry } from './status.js';

/** Whose an entry is. */
export interface EntryOwner {
  /** `<app>.<rule>`. */
  readonly rule: string;
  readonly object?: EntryObject;
}

/** `bridge.local of endpoint acme/web/a`, `classify.drops object 2`. */
export function ownerText({ rule, object }: EntryOwner): string {
  if (object === undefined) return rule;
  const { kind, name, number } = object;
  return kind === undefined ? `${rule} object ${number}` : `${rule} of ${kind} ${name ?? `number ${number}`}`;
}

/** Explains entries of one set of apps. */
export class Explainer {
  constructor(
    private readonly desired: Pick<DesiredTables, 'pipeline' | 'owner' | 'ownerNamed' | 'objectName'>,
  ) {}

  refused(entry: DesiredEntry, error: string): RefusedEntry {
    const object = this.#ownerOfEntry(entry)?.object;
    return {
      entry: this.text(entry),
      owner: this.owner(entry),
      ...(object === undefined ? {} : { object }),
      error,
    };
  }

  /** What an audit found: `missing: table=forward … (bridge.local of endpoint acme/web/a)`. */
  differing({ kind, entry }: DifferingEntry): string {
    return `${kind}: ${this.text(entry)} (${this.owner(entry)})`;
  }

  /** Who derived the entry, and what it is about: `bridge.local of endpoint acme/web/a`. */
  owner(entry: DesiredEntry): string {
    const owner = this.#ownerOfEntry(entry);
    if (owner !== undefined) return ownerText(owner);
    return entry.kind === 'flow' ? `somebody else (cookie 0x${entry.cookie.toString(16)})` : 'somebody else';
  }

  /** Whose entry has this cookie; undefined for entries that are not Weft's. */
  ownerOf(cookie: bigint): EntryOwner | undefined {
    if (!isOurCookie(cookie)) return undefined;
    const { app, rule, object } = cookieLayout.decode(cookie);
    const owner = this.desired.owner(app, rule);
    return {
      rule: owner?.name ?? `unknown rule ${rule} of app ${app}`,
      ...this.#object(owner, object),
    };
  }

  #ownerOfEntry(entry: DesiredEntry): EntryOwner | undefined {
    if (entry.kind === 'flow') return this.ownerOf(entry.cookie);
    const owner = this.desired.ownerNamed(entry.owner);
    return { rule: entry.owner, ...this.#object(owner, entry.object ?? 0) };
  }

  #object(owner: Owner | undefined, number: number): Pick<EntryOwner, 'object'> {
    const kind = owner?.object;
    if (number === 0 && kind !== 'table') return {};
    const name = owner && this.desired.objectName(owner, number);
    return {
      object: {
        number,
        ...(kind === undefined ? {} : { kind }),
        ...(name === undefined ? {} : { name }),
      },
    };
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
