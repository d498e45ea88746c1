/** What the synchronisers of all switches share. */
import type { Numbering, SwitchSession } from '../channel/index.js';
import type { DatapathId } from '../model/facts.js';
import type { Comparison } from './compare.js';
import type { Explainer } from './explain.js';
import type { ProblemTable } from './problems.js';
import type { Scope, ScopeTables } from './scopes.js';
import type { DatapathCounters, DatapathEvent } from './status.js';
import type { EncodedPart, PartEncoder } from './turn-batch.js';
import type { WholeScopes } from './whole-scopes.js';

export interface SyncEnvironment {
  readonly scopes: ScopeTables;
  readonly problems: ProblemTable;
  readonly numbering: Numbering;
  readonly explainer: Explainer;
  readonly counters: WorkCounters;
  readonly whole: WholeScopes;
  /** For what one switch alone needs. All of it has one bundle id, so a switch is sent one such transaction at a time. */
  readonly encoder: PartEncoder;
  /** Reads a switch and compares it with its desired table; arguments as of `compare`. @throws SwitchError */
  read(
    session: SwitchSession,
    skip: (key: string) => boolean,
    takesWhole: (scope: Scope) => boolean,
  ): Promise<Comparison>;
  emit(event: DatapathEvent): void;
  /** Calls back after a time; the returned function calls it off. */
  after: Timer;
  /** Milliseconds to the next audit of a switch that has had so many; 0: never. */
  auditDelayMs(datapathId: DatapathId, audits: number): number;
  /** Milliseconds until a switch is tried again that failed so many times before. */
  retryDelayMs(failures: number): number;
}

/** Calls back after a time in milliseconds, unless the returned function was called. */
export type Timer = (milliseconds: number, callback: () => void) => () => void;

/** Does not keep the process alive. */
export const systemTimer: Timer = (milliseconds, callback) => {
  const timeout = setTimeout(callback, milliseconds);
  timeout.unref();
  return () => clearTimeout(timeout);
};

/** Counts the work done. */
export class WorkCounters implements DatapathCounters {
  turns = 0;
  derivationRuns = 0;
  entriesEncoded = 0;
  bytesEncoded = 0;
  entriesSent = 0;
  bytesSent = 0;
  transactions = 0;
  transactionsRefused = 0;
  audits = 0;

  encoded({ list, bytes }: EncodedPart): void {
    this.entriesEncoded += list.size;
    this.bytesEncoded += bytes;
  }

  sent(parts: readonly EncodedPart[]): void {
    this.transactions++;
    for (const { list, bytes } of parts) {
      this.entriesSent += list.size;
      this.bytesSent += bytes;
    }
  }
}
