/** What the controller tells of its switches: state, refusals, counters and events. */
import type { DatapathId } from '../model/facts.js';
import type { Conflict, Failure } from '../derive/index.js';
import type { ObjectKind } from './object-names.js';
import type { Problem } from './problems.js';
import type { EntryConflict } from './scopes.js';

/**
 * - `disconnected`: no session;
 * - `unclaimed`: a session, but nothing is desired of this switch: it is neither read nor written;
 * - `reading`: its tables are being read after it came up;
 * - `writing`: changes are on their way;
 * - `in-sync`: it holds exactly its desired table;
 * - `degraded`: it holds its desired table but for the refused entries.
 */
export type DatapathState = 'disconnected' | 'unclaimed' | 'reading' | 'writing' | 'in-sync' | 'degraded';

/** What an entry is about, where it is about one thing. */
export interface EntryObject {
  readonly number: number;
  /** Absent: `number` is a code of the app's own. */
  readonly kind?: ObjectKind | 'table';
  /** `acme/web/a`; absent where nothing has the number (any more). */
  readonly name?: string;
}

/** An entry that a switch would not take. */
export interface RefusedEntry {
  /** As `ovs-ofctl` writes it. */
  readonly entry: string;
  /** `<app>.<rule>`, and what the entry is about where it is about one thing: `bridge.local of endpoint acme/web/a`. */
  readonly owner: string;
  readonly object?: EntryObject;
  /** Name of the error, such as `OFPBAC_BAD_OUT_GROUP`. */
  readonly error: string;
}

/** Entries that a comparison found to differ from the desired table. */
export interface Difference {
  /** Desired and not there. */
  readonly missing: number;
  /** There, with a cookie of ours, and not desired. */
  readonly extra: number;
  /** There, with other instructions, buckets or bands, or another cookie. */
  readonly changed: number;
  /** There, without a cookie of ours: written by somebody else. Groups and meters have no cookie and count as extra. */
  readonly foreign: number;
}

/** How entries that were read differ from those desired. */
export interface TableDifferences {
  readonly difference: Difference;
  /** Up to ten of them: `missing: table=forward … (bridge.local object 5)`. */
  readonly examples: readonly string[];
}

export interface DatapathStatus {
  readonly datapathId: DatapathId;
  readonly state: DatapathState;
  /** Address of its session. */
  readonly remoteAddress?: string;
  /** Entries in the scopes it subscribes to. */
  readonly entries: number;
  /** Names of those scopes. */
  readonly scopes: readonly string[];
  /** Entries that wait to be sent, and transactions on their way. */
  readonly waiting: number;
  readonly inFlight: number;
  /** Entries it would not take, until they hold, change or go. */
  readonly refused: readonly RefusedEntry[];
  /** What apps report about the facts of this switch. */
  readonly problems: readonly Problem[];
  /** Differences that audits found and healed, since the controller started. */
  readonly healed: Difference;
  readonly audits: number;
  /** When its tables were last read and compared. */
  readonly lastRead?: Date;
}

export type DatapathEvent =
  /** After a session came up: the tables were read, compared and brought into line. */
  | {
      readonly kind: 'synced';
      readonly datapathId: DatapathId;
      readonly difference: Difference;
      /** Entries read, and milliseconds from the first request to the last acknowledgement. */
      readonly read: number;
      readonly milliseconds: number;
    }
  /** An audit found differences; they are on their way to be healed. `examples`: up to ten entries. */
  | {
      readonly kind: 'healed';
      readonly datapathId: DatapathId;
      readonly difference: Difference;
      readonly examples: readonly string[];
    }
  | { readonly kind: 'refused'; readonly datapathId: DatapathId; readonly refused: RefusedEntry }
  /** An app reports a problem of the facts; later, that it is none any more. */
  | { readonly kind: 'problem' | 'solved'; readonly datapathId: DatapathId; readonly problem: Problem }
  | { readonly kind: 'state'; readonly datapathId: DatapathId; readonly state: DatapathState }
  /** Reading or writing failed as a whole; it is tried again. */
  | { readonly kind: 'trouble'; readonly datapathId: DatapathId; readonly error: Error }
  /** Two rules ask for different entries under one key, or two instances of a derivation for different values. */
  | { readonly kind: 'conflict'; readonly conflict: EntryConflict | Conflict }
  /** A derivation threw: an error of an app. */
  | { readonly kind: 'failure'; readonly failure: Failure };

/** Work done since the controller was made. Counts are of messages to switches; an entry encoded once may be sent to many. */
export interface DatapathCounters {
  /** Settlements that changed a desired table. */
  readonly turns: number;
  readonly derivationRuns: number;
  /** Modifications encoded, and their bytes. */
  readonly entriesEncoded: number;
  readonly bytesEncoded: number;
  /** Modifications handed to sessions, each counted for each session, and their bytes. */
  readonly entriesSent: number;
  readonly bytesSent: number;
  readonly transactions: number;
  readonly transactionsRefused: number;
  readonly audits: number;
}
