import type { ErrorMessage, Message, MeterMod } from '../../ofproto/index.js';
import { BundleControlType } from '../../ofproto/index.js';
import type { SwitchError } from './errors.js';
import { nameOfError } from './errors.js';
import { closedError } from './requests.js';
import { plainBytes } from './turn-encoder.js';
import type { Chunk, Modification, Transaction, TransactionError, TransactionResult } from './transaction.js';

/** What a queue of transactions needs of its connection. */
export interface TransactionWriter {
  /** Queues bytes; false above the high-water mark, and then `TransactionQueue.drained` is called once it is below. */
  write(bytes: Uint8Array): boolean;
  readonly congested: boolean;
}

export interface TransactionQueueOptions {
  readonly bundles: boolean;
  /** Time without any progress after which `stuck` is called. */
  readonly timeoutMs: number;
  /** The switch has stopped answering within a transaction; its state can only be known again by reading it back. */
  readonly stuck: (what: string) => void;
}

/**
 * - `uploading`: meters, open and modifications are being written;
 * - `closing`: close is written, its reply awaited;
 * - `closed`: the switch holds everything and has refused nothing; its turn to commit has to come;
 * - `committing`: commit is written, and its reply awaited because meters are to be deleted only if it succeeds;
 * - `finishing`: commit or discard and the barrier are written; the barrier's reply ends it.
 */
type Phase = 'waiting' | 'uploading' | 'closing' | 'closed' | 'committing' | 'finishing';

interface Running {
  readonly transaction: Transaction;
  /** Its modifications travel in a bundle. */
  readonly bundled: boolean;
  readonly resolve: (result: TransactionResult) => void;
  readonly reject: (error: SwitchError) => void;
  readonly errors: TransactionError[];
  /** What remains to be written of it, last first. */
  readonly upload: Uint8Array[];
  phase: Phase;
  committed: boolean;
}

/**
 * Bundles a switch may have open at one time. More than one, so that the next one travels while the last is committed; few, since
 * Open vSwitch drops a bundle that nothing is added to for 10 s.
 */
const MAX_OPEN = 4;

/** The transactions of one switch, committed in the order in which they were submitted. */
export class TransactionQueue {
  readonly #writer: TransactionWriter;
  readonly #options: TransactionQueueOptions;
  /** In order; those in front are further. */
  readonly #running: Running[] = [];
  #closed: string | undefined;
  #progressAt = 0;
  #watchdog: NodeJS.Timeout | undefined;

  constructor(writer: TransactionWriter, options: TransactionQueueOptions) {
    this.#writer = writer;
    this.#options = options;
  }

  get size(): number {
    return this.#running.length;
  }

  submit(transaction: Transaction): Promise<TransactionResult> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) return reject(closedError(describe(transaction), this.#closed));
      const bundled = this.#options.bundles && transaction.chunks.length > 0;
      const upload = this.#options.bundles
        ? [...transaction.upload]
        : [...transaction.meters.map(({ bytes }) => bytes), ...transaction.chunks.map(plainBytes)];
      upload.reverse();
      const outcome = { errors: [], committed: false };
      this.#running.push({ transaction, bundled, upload, phase: 'waiting', ...outcome, resolve, reject });
      // One more to wait is no progress of those in front.
      if (this.#running.length === 1) this.#progress();
      this.#pump();
    });
  }

  /** Hands in a message that may belong to a transaction; false when it does not. */
  receive(message: Message): boolean {
    if (this.#running.length === 0) return false;
    const { xid } = message;
    for (const running of this.#running) {
      const { frames } = running.transaction;
      if (message.type === 'error') {
        if (!this.#refused(running, message)) continue;
      } else if (message.type === 'bundle_control') {
        if (xid !== frames.openXid && xid !== frames.closeXid && xid !== frames.commitXid) continue;
        this.#controlReply(running, message.controlType);
      } else if (message.type === 'barrier_reply') {
        if (xid !== frames.barrierXid) continue;
        this.#finish(running);
      } else return false;
      this.#progress();
      this.#pump();
      return true;
    }
    return false;
  }

  /** The connection can take more. */
  drained(): void {
    if (this.#running.length === 0) return;
    this.#progress();
    this.#pump();
  }

  close(reason: string): void {
    this.#closed = reason;
    clearInterval(this.#watchdog);
    for (const { transaction, reject } of this.#running.splice(0)) {
      reject(closedError(describe(transaction), reason));
    }
  }

  /** Ties an error to what caused it; false when the error is not of this transaction. */
  #refused(running: Running, error: ErrorMessage): boolean {
    const { frames, chunks, meters, metersAfter } = running.transaction;
    const name = nameOfError(error);
    if (error.xid === frames.openXid || error.xid === frames.closeXid) {
      running.errors.push({ error, name });
      if (error.xid === frames.closeXid) running.phase = 'closed';
      return true;
    }
    if (error.xid === frames.commitXid) {
      // A commit that failed brings an error of its own; it says nothing that the modification's has not said.
      if (running.errors.length === 0) running.errors.push({ error, name });
      if (running.phase === 'committing') this.#conclude(running);
      return true;
    }
    if (error.xid === frames.barrierXid) {
      running.errors.push({ error, name });
      this.#finish(running);
      return true;
    }
    const modification = find(chunks, error.xid) ?? find(meters, error.xid) ?? find(metersAfter, error.xid);
    if (!modification) return false;
    running.errors.push({ modification, error, name });
    return true;
  }

  #controlReply(running: Running, controlType: number): void {
    if (controlType === BundleControlType.CLOSE_REPLY) running.phase = 'closed';
    else if (controlType === BundleControlType.COMMIT_REPLY) {
      running.committed = true;
      if (running.phase === 'committing') this.#conclude(running);
    }
  }

  #finish(running: Running): void {
    this.#running.splice(this.#running.indexOf(running), 1);
    const committed = running.errors.length === 0 && (running.committed || !running.bundled);
    running.resolve({ committed, atomic: this.#options.bundles, errors: running.errors });
    if (this.#running.length === 0) {
      clearInterval(this.#watchdog);
      this.#watchdog = undefined;
    }
  }

  /** Writes whatever can be written now: commits in order, then uploads in order. */
  #pump(): void {
    let open = 0;
    for (const [place, running] of this.#running.entries()) {
      if (running.phase === 'finishing') continue;
      open += 1;
      if (open > MAX_OPEN) return;
      if (running.phase === 'waiting') {
        if (this.#awaitsDeletions(running, place)) return;
        this.#begin(running, place);
      }
      if (running.phase === 'uploading' && !this.#upload(running)) return;
      // Everything in front has been told to commit already, or this one has to wait.
      if (running.phase === 'closed' && this.#mayCommit(place)) this.#commit(running);
    }
  }

  /** Meters are added before their bundle: not before what is in front has deleted its own, of which one may have the same number. */
  #awaitsDeletions({ transaction }: Running, place: number): boolean {
    if (transaction.meters.length === 0) return false;
    return this.#running
      .slice(0, place)
      .some((front) => front.transaction.metersAfter.length > 0 && front.phase !== 'finishing');
  }

  #begin(running: Running, place: number): void {
    running.phase = 'uploading';
    const { single } = running.transaction;
    if (!single || !running.bundled || !this.#mayCommit(place) || this.#writer.congested) return;
    running.phase = 'finishing';
    this.#writer.write(single);
  }

  /** True when all of it is written. */
  #upload(running: Running): boolean {
    for (;;) {
      if (this.#writer.congested) return false;
      const bytes = running.upload.pop();
      if (!bytes) break;
      this.#writer.write(bytes);
    }
    if (running.bundled) running.phase = 'closing';
    else this.#conclude(running);
    return true;
  }

  #mayCommit(place: number): boolean {
    return place === 0 || this.#running[place - 1]?.phase === 'finishing';
  }

  #commit(running: Running): void {
    const { frames, metersAfter } = running.transaction;
    const refused = running.errors.length > 0;
    if (!refused && metersAfter.length === 0) {
      running.phase = 'finishing';
      this.#writer.write(frames.commitAndBarrier);
      return;
    }
    this.#writer.write(refused ? frames.discard : frames.commit);
    if (refused) this.#conclude(running);
    else running.phase = 'committing';
  }

  /** Writes the end. A meter is deleted only when the entries that use it are known to be gone: it would take them along. */
  #conclude(running: Running): void {
    const { frames, metersAfter } = running.transaction;
    running.phase = 'finishing';
    if (running.committed || !running.bundled) {
      for (const chunk of metersAfter) this.#writer.write(chunk.bytes);
    }
    this.#writer.write(frames.barrier);
  }

  #progress(): void {
    this.#progressAt = performance.now();
    if (this.#watchdog || this.#running.length === 0) return;
    const { timeoutMs, stuck } = this.#options;
    this.#watchdog = setInterval(
      () => {
        const [first] = this.#running;
        if (first && performance.now() - this.#progressAt >= timeoutMs) {
          stuck(`${describe(first.transaction)} made no progress for ${timeoutMs} ms while ${first.phase}`);
        }
      },
      Math.max(10, timeoutMs / 4),
    );
    this.#watchdog.unref();
  }
}

const describe = (transaction: Transaction): string => `transaction of bundle ${transaction.bundleId}`;

function find<M extends Modification | MeterMod>(chunks: readonly Chunk<M>[], xid: number): M | undefined {
  for (const { firstXid, modifications } of chunks) {
    const index = xid - firstXid;
    if (index >= 0 && index < modifications.length) return modifications[index];
  }
  return undefined;
}
