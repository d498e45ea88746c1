/**
 * Brings the model to what the cluster asks for: what has changed meanwhile is one request to declare and one to delete, in one transaction.
 * What the model refuses is told and tried again later, and does not stop the rest. Touches nothing that is not the watcher's own.
 */
import type { Logger } from '../log.js';
import type { IntentObject } from '../model/intents.js';
import { type Model, ModelError, type ObjectRef } from '../model/types.js';
import { Backoff, pause } from './backoff.js';
import { type DesiredIntents, keyOf, refOf } from './desired.js';
import { OWNER } from './names.js';
import { addressesIn, placeIntents, type PlaceOptions } from './place.js';
import type { RefusedObject } from './types.js';

export interface CommitterOptions {
  readonly model: Model;
  readonly desired: DesiredIntents;
  readonly place: PlaceOptions;
  /** Of the pod of an endpoint, as its kubelet reports them. */
  addressesOf(endpoint: string): readonly string[];
  /** Most objects of one transaction. */
  readonly batchSize: number;
  /** Everything is compared again after this time, milliseconds. */
  readonly resyncMs: number;
  /** Pauses until what was refused, or what the store could not take, is tried again, milliseconds. */
  readonly retry: { readonly minMs: number; readonly maxMs: number };
  readonly logger: Logger;
}

interface Batch {
  readonly apply: readonly IntentObject[];
  readonly remove: readonly ObjectRef[];
}

const MAX_REFUSED_TOLD = 500;

export class Committer {
  readonly #refused = new Map<string, string>();
  readonly #retry: Backoff;
  readonly #stop = new AbortController();
  readonly #counts = { requests: 0, applied: 0, removed: 0 };
  #started = false;
  #synced = false;
  #working: Promise<void> | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #resyncTimer: NodeJS.Timeout | undefined;

  constructor(private readonly options: CommitterOptions) {
    this.#retry = new Backoff(options.retry);
  }

  /** What the cluster asked for at the start has been declared. */
  get synced(): boolean {
    return this.#synced;
  }

  /** All that is known is in the model, but for what is refused. */
  get settled(): boolean {
    return this.#synced && this.#working === undefined && !this.options.desired.hasChanges;
  }

  get counts(): { readonly requests: number; readonly applied: number; readonly removed: number } {
    return this.#counts;
  }

  refused(): RefusedObject[] {
    return [...this.#refused].slice(0, MAX_REFUSED_TOLD).map(([object, reason]) => ({ object, reason }));
  }

  get refusedCount(): number {
    return this.#refused.size;
  }

  /** The whole truth is known: compares everything, and from now on follows changes. */
  start(): void {
    if (this.#started || this.#stop.signal.aborted) return;
    this.#started = true;
    this.resync();
    this.#resyncTimer = setInterval(() => this.resync(), this.options.resyncMs);
    this.#resyncTimer.unref();
  }

  /** Compares everything with the model: what people have deleted comes back, what nobody asks for goes. */
  resync(): void {
    const { desired, model, place } = this.options;
    desired.set('place', placeIntents(model, place));
    for (const key of desired.keys()) desired.touch(key);
    for (const { kind, name } of model.ownedBy(OWNER)) desired.touch(`${kind} ${name}`);
    this.schedule();
  }

  /** Something has changed; what changes in this turn is committed together. */
  schedule(): void {
    if (!this.#started || this.#working !== undefined || this.#stop.signal.aborted) return;
    if (!this.options.desired.hasChanges) return;
    this.#working = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#work())
      .finally(() => {
        this.#working = undefined;
        this.schedule();
      });
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#retryTimer);
    clearInterval(this.#resyncTimer);
    await this.idle();
  }

  async #work(): Promise<void> {
    const { desired, logger, batchSize } = this.options;
    const { signal } = this.#stop;
    while (desired.hasChanges && !signal.aborted) {
      const keys = desired.takeChanges();
      try {
        for (const batch of this.#batches(keys, batchSize)) await this.#commit(batch);
      } catch (err) {
        for (const key of keys) desired.touch(key);
        logger.error(
          { event: 'kubernetes.store', err },
          'what the cluster asks for cannot be stored now; tried again',
        );
        await pause(this.#retry.next(), signal);
        continue;
      }
      if (this.#refused.size === 0) this.#retry.reset();
    }
    if (signal.aborted) return;
    if (!this.#synced) {
      this.#synced = true;
      const counts = { declared: desired.size, refused: this.#refused.size, ...this.#counts };
      logger.info({ event: 'kubernetes.synced', ...counts }, 'the cluster is declared');
    }
    this.#retryLater();
  }

  #batches(keys: readonly string[], size: number): Batch[] {
    const { desired } = this.options;
    const apply: IntentObject[] = [];
    const remove: ObjectRef[] = [];
    for (const key of keys) {
      this.#refused.delete(key);
      const intent = desired.get(key);
      if (intent !== undefined) apply.push(this.#withAddresses(intent));
      else if (this.#isOurs(refOf(key))) remove.push(refOf(key));
    }
    // What is named comes before what names it, and policies before their pods; the other way round when they go.
    apply.sort((a, b) => rankOf(a) - rankOf(b));
    remove.sort((a, b) => this.#rankOf(b) - this.#rankOf(a));
    const batches: Batch[] = [];
    for (let start = 0; start < apply.length; start += size)
      batches.push({ apply: apply.slice(start, start + size), remove: [] });
    const last = batches.at(-1);
    if (last !== undefined && last.apply.length + remove.length <= size) {
      batches[batches.length - 1] = { ...last, remove };
    } else {
      for (let start = 0; start < remove.length; start += size)
        batches.push({ apply: [], remove: remove.slice(start, start + size) });
    }
    return batches;
  }

  #isOurs({ kind, name }: ObjectRef): boolean {
    const declared = this.options.model.declared(kind, name);
    return declared !== undefined && 'owner' in declared && declared.owner === OWNER;
  }

  #rankOf({ kind, name }: ObjectRef): number {
    const declared = this.options.model.declared(kind, name);
    return declared === undefined ? 0 : rankOf(declared as IntentObject);
  }

  /**
   * An endpoint keeps the addresses that its intent has. One that is not there yet has those that its pod has already, if its network can:
   * a store that was lost does not change running pods.
   */
  #withAddresses(intent: IntentObject): IntentObject {
    if (intent.kind !== 'Endpoint') return intent;
    const { model, place, addressesOf } = this.options;
    const id = `${intent.tenant}/${intent.network}/${intent.name}`;
    const declared = model.declared('Endpoint', id);
    const { ip, ip6 } = declared ?? addressesIn(model, place, addressesOf(id));
    return { ...intent, ...(ip === undefined ? {} : { ip }), ...(ip6 === undefined ? {} : { ip6 }) };
  }

  /** One transaction; without what the model refuses, which is found out first. Rejects when the store cannot take it. */
  async #commit({ apply, remove }: Batch): Promise<void> {
    const { model } = this.options;
    // In one turn: operations that wait together are one transaction.
    const [applied, removed] = await Promise.allSettled([
      apply.length === 0 ? undefined : model.apply(apply, { mode: 'add' }),
      remove.length === 0 ? undefined : model.remove(remove),
    ]);
    this.#counts.requests += (apply.length === 0 ? 0 : 1) + (remove.length === 0 ? 0 : 1);
    if (applied.status === 'fulfilled') this.#counts.applied += apply.length;
    if (removed.status === 'fulfilled') this.#counts.removed += remove.length;
    for (const { status, ...result } of [applied, removed]) {
      const reason: unknown = 'reason' in result ? result.reason : undefined;
      if (status === 'rejected' && !(reason instanceof ModelError)) throw reason;
    }
    if (applied.status === 'rejected') {
      const [blamed, parts] = this.#blame(applied.reason as ModelError, apply, keyOf);
      for (const part of parts) await this.#commit({ apply: part, remove: [] });
      this.#refuse(blamed);
    }
    if (removed.status === 'rejected') {
      const key = ({ kind, name }: ObjectRef) => `${kind} ${name}`;
      const [blamed, parts] = this.#blame(removed.reason as ModelError, remove, key);
      for (const part of parts) await this.#commit({ apply: [], remove: part });
      this.#refuse(blamed);
    }
  }

  /** Who is the reason, and what may go on without them; where nobody is named, halves are tried. */
  #blame<T>(
    error: ModelError,
    items: readonly T[],
    key: (item: T) => string,
  ): readonly [ReadonlyMap<string, string>, readonly (readonly T[])[]] {
    const reasons = new Map<string, string>();
    for (const { severity, path, message } of error.problems) {
      if (severity === 'error' && path !== undefined) reasons.set(path.split(': ')[0] ?? '', message);
    }
    const blamed = new Map<string, string>();
    for (const item of items) {
      const reason = reasons.get(key(item));
      if (reason !== undefined) blamed.set(key(item), reason);
    }
    if (blamed.size > 0)
      return [
        blamed,
        parted(
          items.filter((item) => !blamed.has(key(item))),
          Infinity,
        ),
      ];
    const [only] = items;
    if (items.length === 1 && only !== undefined) return [new Map([[key(only), error.message]]), []];
    return [blamed, parted(items, Math.ceil(items.length / 2))];
  }

  #refuse(blamed: ReadonlyMap<string, string>): void {
    for (const [object, reason] of blamed) {
      this.#refused.set(object, reason);
      this.options.logger.warn(
        { event: 'kubernetes.intent.refused', object, reason },
        `${object} is refused: ${reason}`,
      );
    }
  }

  #retryLater(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    if (this.#refused.size === 0) return;
    this.#retryTimer = setTimeout(() => {
      for (const key of this.#refused.keys()) this.options.desired.touch(key);
      this.schedule();
    }, this.#retry.next());
    this.#retryTimer.unref();
  }
}

function parted<T>(items: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let start = 0; start < items.length; start += size) parts.push(items.slice(start, start + size));
  return parts;
}

/** What an object names has a lower rank. */
function rankOf(intent: IntentObject): number {
  switch (intent.kind) {
    case 'Tenant':
      return 0;
    case 'Network':
      return 1;
    case 'Group':
      return intent.policies === undefined ? 2 : 4;
    case 'Policy':
      return 3;
    // Addresses that are asked for before those that are found.
    case 'Endpoint':
      return intent.ip === undefined && intent.ip6 === undefined ? 6 : 5;
    default:
      return 7;
  }
}
