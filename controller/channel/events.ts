import type { ChannelLogger } from './logger.js';
import type { ChannelEvents } from './session.js';

type Handlers = { readonly [K in keyof ChannelEvents]: Set<ChannelEvents[K]> };

/** Who listens to what. A handler that throws or rejects is logged, and hurts neither the session nor the other handlers. */
export class EventHub {
  readonly #logger: ChannelLogger;
  readonly #handlers: Handlers = {
    up: new Set(),
    down: new Set(),
    portStatus: new Set(),
    packetIn: new Set(),
    flowRemoved: new Set(),
    error: new Set(),
    message: new Set(),
  };

  constructor(logger: ChannelLogger) {
    this.#logger = logger;
  }

  /** Returns the way to stop listening. */
  add<K extends keyof ChannelEvents>(event: K, handler: ChannelEvents[K]): () => void {
    const handlers: Set<ChannelEvents[K]> = this.#handlers[event];
    handlers.add(handler);
    return () => {
      handlers.delete(handler);
    };
  }

  /** Calls all handlers of an event. A promise is returned where a handler returned one; it never rejects. */
  readonly emit = <K extends keyof ChannelEvents>(
    event: K,
    ...values: Parameters<ChannelEvents[K]>
  ): Promise<unknown> | undefined => {
    let progress: Promise<unknown> | undefined;
    for (const handler of this.#handlers[event]) {
      try {
        const result = (handler as (...values: unknown[]) => unknown)(...values);
        if (!(result instanceof Promise)) continue;
        const settled = result.catch((error: unknown) => this.#failed(event, error));
        progress = progress ? Promise.all([progress, settled]) : settled;
      } catch (error) {
        this.#failed(event, error);
      }
    }
    return progress;
  };

  #failed(event: keyof ChannelEvents, error: unknown): void {
    this.#logger.error({ event: 'channel.handler', handler: event, err: error }, 'an event handler failed');
  }
}
