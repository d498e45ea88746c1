import { HubError } from './errors.js';
import { homeOf, type Locations } from './locations.js';

/** Requests and attaches that wait for their endpoint, or its network, to be declared. */
export class Arrivals {
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(private readonly locations: Locations) {}

  /**
   * Resolves when the endpoint is attached with this generation or a later one.
   * @throws HubError `endpoint.unknown` when the signal aborts before
   */
  wait(endpoint: string, generation: number, signal: AbortSignal): Promise<void> {
    const attached = (): boolean => {
      const fact = this.locations.endpoint(endpoint);
      return fact !== undefined && homeOf(fact) !== undefined && fact.generation >= generation;
    };
    return this.#until(endpoint, attached, signal);
  }

  /**
   * Resolves when there is such an endpoint.
   * @throws HubError `endpoint.unknown` when the signal aborts before
   */
  declared(endpoint: string, signal: AbortSignal): Promise<void> {
    return this.#until(endpoint, () => this.locations.endpoint(endpoint) !== undefined, signal);
  }

  /** The endpoint has changed. */
  look(endpoint: string): void {
    for (const look of this.#waiting.get(endpoint) ?? []) look();
  }

  #until(endpoint: string, condition: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(endpoint) ?? new Set();
      this.#waiting.set(endpoint, waiting);
      const finish = () => {
        waiting.delete(look);
        if (waiting.size === 0) this.#waiting.delete(endpoint);
        signal.removeEventListener('abort', onAbort);
      };
      const look = () => {
        if (!condition()) return;
        finish();
        resolve();
      };
      const onAbort = () => {
        finish();
        reject(
          new HubError('endpoint.unknown', `${endpoint} is not known yet`, {
            path: 'endpoint',
            fix: 'apply its intent or call endpoint.request; it is attached as soon as it arrives',
          }),
        );
      };
      waiting.add(look);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      else look();
    });
  }
}
