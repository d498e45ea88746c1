/**
 * Holds the facts of one resource as the API has them: list, then watch from there, and list again when the watch cannot go on (410 Gone).
 * What has been heard stays while the API is away; what a new list has not any more is gone then.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../log.js';
import { type ApiClient, ApiError, type WatchEvent } from './api-client.js';
import { Backoff, pause } from './backoff.js';
import { type Facts, Malformed, type Resource } from './facts.js';
import { keyOfObject, readObject } from './read.js';
import type { RefusedObject, ResourceStatus } from './types.js';

/** Where each resource is. */
export const PATHS: { readonly [R in Resource]: string } = {
  namespaces: '/api/v1/namespaces',
  pods: '/api/v1/pods',
  networkpolicies: '/apis/networking.k8s.io/v1/networkpolicies',
  nodes: '/api/v1/nodes',
  services: '/api/v1/services',
};

export interface ReflectorTimes {
  /** A watch without a byte for so long is renewed, milliseconds. Servers send a bookmark about every minute. */
  readonly silenceMs: number;
  /** The server ends a watch after this time to twice as much, milliseconds. */
  readonly watchMs: number;
  /** Pauses after failures, milliseconds. */
  readonly backoff: { readonly minMs: number; readonly maxMs: number };
}

export interface ReflectorOptions<R extends Resource> {
  readonly resource: R;
  readonly client: ApiClient;
  /** Objects in one page of a list. */
  readonly pageSize: number;
  readonly times: ReflectorTimes;
  readonly logger: Logger;
  /** What the schema cannot say. @throws Malformed */
  validate?(fact: Facts[R]): void;
  /** A fact is new, another one than before, or gone; not called for what is as it was. */
  onChange(key: string, fact: Facts[R] | undefined, before: Facts[R] | undefined): void;
  /** A list has been taken in. */
  onSynced(): void;
}

/** Broken watches in a row, without one event in between, after which a list is tried. */
const MAX_BROKEN = 3;
const MAX_REFUSED_TOLD = 200;

export class Reflector<R extends Resource> {
  readonly #facts = new Map<string, Facts[R]>();
  readonly #refused = new Map<string, string>();
  readonly #backoff: Backoff;
  readonly #counts = { lists: 0, relists: 0, watches: 0, events: 0, failures: 0, refusals: 0 };
  /** Up to which the facts are known; undefined: a list is needed. */
  #version: string | undefined;
  /** Failures in a row that are the watch's, not the server's. */
  #broken = 0;
  #state: ResourceStatus['state'] = 'listing';
  #synced = false;
  #lastHeard: number | undefined;
  #error: string | undefined;

  constructor(private readonly options: ReflectorOptions<R>) {
    this.#backoff = new Backoff(options.times.backoff);
  }

  /** By `namespace/name`, or `name`. */
  get facts(): ReadonlyMap<string, Facts[R]> {
    return this.#facts;
  }

  get synced(): boolean {
    return this.#synced;
  }

  status(): ResourceStatus {
    return {
      resource: this.options.resource,
      state: this.#state,
      synced: this.#synced,
      objects: this.#facts.size,
      refused: this.#refused.size,
      ...this.#counts,
      ...(this.#version === undefined ? {} : { version: this.#version }),
      ...(this.#lastHeard === undefined ? {} : { lastHeard: this.#lastHeard }),
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  refused(): RefusedObject[] {
    return [...this.#refused]
      .slice(0, MAX_REFUSED_TOLD)
      .map(([key, reason]) => ({ object: `${this.options.resource} ${key}`, reason }));
  }

  /** Until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.#version ??= await this.#list(signal);
        await this.#watch(this.#version, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!this.#failed(error)) this.#version = undefined;
        this.#state = 'waiting';
        await pause(this.#backoff.next(), signal);
      }
    }
  }

  /** Takes in the whole truth; returns its version. */
  async #list(signal: AbortSignal): Promise<string> {
    const { client, resource, pageSize } = this.options;
    this.#state = 'listing';
    const found = new Map<string, Facts[R] | undefined>();
    const refused = new Map<string, string>();
    let next: string | undefined;
    let version: string;
    do {
      const page = await client.list(PATHS[resource], { limit: pageSize, continue: next }, signal);
      for (const item of page.items) {
        const { key, fact, reason } = this.#read(item);
        found.set(key, fact);
        if (reason !== undefined) refused.set(key, reason);
      }
      ({ next, resourceVersion: version } = page);
    } while (next !== undefined);
    this.#counts.lists += 1;
    if (this.#synced) this.#counts.relists += 1;
    this.#refused.clear();
    for (const [key, reason] of refused) this.#refused.set(key, reason);
    for (const key of this.#facts.keys()) if (!found.has(key)) this.#set(key, undefined);
    for (const [key, fact] of found) {
      // What cannot be read stays as it was.
      if (!refused.has(key)) this.#set(key, fact);
    }
    this.#heard();
    this.#backoff.reset();
    this.#broken = 0;
    this.#synced = true;
    this.options.onSynced();
    return version;
  }

  /** Until the server ends the watch in good order. */
  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { client, resource, times } = this.options;
    const seconds = Math.ceil((times.watchMs / 1000) * (1 + Math.random()));
    let heard = false;
    this.#counts.watches += 1;
    const query = { resourceVersion, timeoutSeconds: seconds };
    const onOpen = () => {
      this.#state = 'watching';
      this.#heard();
    };
    const { silenceMs } = times;
    for await (const event of client.watch(PATHS[resource], query, { signal, silenceMs, onOpen })) {
      heard = true;
      this.#heard();
      this.#backoff.reset();
      this.#broken = 0;
      this.#take(event);
      this.#version = event.resourceVersion ?? this.#version;
    }
    // A server that ends every watch at once is not asked again at once.
    if (!heard) await pause(this.#backoff.next(), signal);
  }

  #take({ type, object }: WatchEvent): void {
    if (type === 'BOOKMARK') return;
    this.#counts.events += 1;
    if (type === 'DELETED') {
      const key = keyOfObject(object);
      if (key === undefined) return;
      this.#refused.delete(key);
      this.#set(key, undefined);
      return;
    }
    const { key, fact, reason } = this.#read(object);
    if (reason === undefined) {
      this.#refused.delete(key);
      this.#set(key, fact);
    } else this.#refused.set(key, reason);
  }

  #read(object: unknown): {
    readonly key: string;
    readonly fact?: Facts[R] | undefined;
    readonly reason?: string;
  } {
    const key = keyOfObject(object) ?? '(without a name)';
    try {
      const fact = readObject(this.options.resource, object);
      if (fact !== undefined) this.options.validate?.(fact);
      return { key, fact };
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      return { key, reason: this.#refuse(key, error) };
    }
  }

  #refuse(key: string, { message }: Malformed): string {
    const { resource, logger } = this.options;
    this.#counts.refusals += 1;
    logger.warn(
      { event: 'kubernetes.refused', resource, object: key, reason: message },
      `${resource} ${key} is refused: ${message}`,
    );
    return message;
  }

  #set(key: string, fact: Facts[R] | undefined): void {
    const before = this.#facts.get(key);
    if (isDeepStrictEqual(before, fact)) return;
    if (fact === undefined) this.#facts.delete(key);
    else this.#facts.set(key, fact);
    this.options.onChange(key, fact, before);
  }

  #heard(): void {
    this.#lastHeard = Date.now();
    this.#error = undefined;
  }

  /** Tells of a failure; false: the watch cannot go on from where it was. */
  #failed(error: unknown): boolean {
    const { resource, logger } = this.options;
    const reason = error instanceof Error ? error.message : String(error);
    const line = { event: 'kubernetes.watch', resource, reason };
    if (error instanceof ApiError && error.isExpired) {
      logger.info({ ...line, event: 'kubernetes.expired' }, `${resource} are listed again: ${reason}`);
      return false;
    }
    const text = `${resource} are not followed now: ${reason}`;
    // Once for each time that the API is away; the state is in the metrics and in weft get kubernetes.
    if (this.#error === undefined) logger.warn(line, text);
    else logger.debug(line, text);
    this.#counts.failures += 1;
    this.#error = reason;
    // A server that is away, or says that it has too much to do, takes the same watch later.
    const isAway = !(error instanceof ApiError) || (error.status ?? 0) >= 500 || error.status === 429;
    if (!isAway) this.#broken += 1;
    return this.#broken < MAX_BROKEN;
  }
}
