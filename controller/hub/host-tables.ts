import { type Clock, HostTable, MAX_TABLE_ROWS, type Peer, type ResultOf } from '../../rpc/index.js';
import type { TableRow } from '../model/facts.js';
import type { SwitchAnswer } from './types.js';

/** What tables are made of, for hosts without OpenFlow. */
export interface TableSource {
  /** Every row of a host. */
  of(host: string): Iterable<{ readonly key: string; readonly row: TableRow }>;
  /** A row as the host is to have it now; undefined where it is not to have it. */
  find(host: string, key: string): TableRow | undefined;
}

type Refused = ResultOf<typeof HostTable>['refused'][number];

/** A kernel that has a large table to take. */
const ANSWER_MS = 60_000;
const RETRY_MS = 1_000;

/** Tables on their way to the agents of hosts without OpenFlow; at most one message at a time is under way to each. */
export class TableDeliveries {
  readonly #deliveries = new Map<string, Delivery>();
  /** Rows sent since the start, counted per receiver. */
  sent = 0;

  constructor(
    private readonly source: TableSource,
    private readonly clock: Clock,
    private readonly onTrouble: (host: string, reason: string) => void,
  ) {}

  /** The agent has registered: it gets the whole table. */
  start(host: string, peer: Peer): void {
    this.#deliveries.get(host)?.stop();
    const delivery = new Delivery(host, peer, this.source, this.clock, {
      sent: (rows) => {
        this.sent += rows;
      },
      trouble: (reason) => {
        this.onTrouble(host, reason);
      },
    });
    this.#deliveries.set(host, delivery);
    peer.onClose(() => {
      delivery.stop();
      if (this.#deliveries.get(host) === delivery) this.#deliveries.delete(host);
    });
    delivery.whole();
  }

  /** Rows of a host have changed; what is sent is what they are when their turn comes. */
  changed(host: string, keys: Iterable<string>): void {
    this.#deliveries.get(host)?.changed(keys);
  }

  /** What becomes of all that has been told to `changed` until now. */
  acknowledged(host: string): Promise<SwitchAnswer> {
    return this.#deliveries.get(host)?.acknowledged() ?? Promise.resolve(DISCONNECTED);
  }

  /** Why the agent cannot follow rows about an endpoint; undefined: it can. */
  refusalOf(host: string, endpoint: string): string | undefined {
    return this.#deliveries.get(host)?.refused.find(({ key }) => {
      const row = this.source.find(host, key);
      return row !== undefined && 'endpoint' in row && row.endpoint === endpoint;
    })?.reason;
  }

  stop(): void {
    for (const delivery of this.#deliveries.values()) delivery.stop();
    this.#deliveries.clear();
  }
}

const DISCONNECTED: SwitchAnswer = { ok: false, reason: 'disconnected', refused: [] };

interface DeliveryEvents {
  sent(rows: number): void;
  trouble(reason: string): void;
}

class Delivery {
  refused: readonly Refused[] = [];
  /** Keys of rows to send; whether all are. */
  #pending = new Set<string>();
  #whole = false;
  #running = false;
  #stopped = false;
  #revision = 0;
  /** Counts what was asked for. */
  #asked = 0;
  #waiting: { readonly asked: number; readonly resolve: (answer: SwitchAnswer) => void }[] = [];
  #stopRetry: (() => void) | undefined;

  constructor(
    private readonly host: string,
    private readonly peer: Peer,
    private readonly source: TableSource,
    private readonly clock: Clock,
    private readonly events: DeliveryEvents,
  ) {}

  whole(): void {
    this.#whole = true;
    this.#asked += 1;
    this.#run();
  }

  changed(keys: Iterable<string>): void {
    for (const key of keys) this.#pending.add(key);
    this.#asked += 1;
    this.#run();
  }

  acknowledged(): Promise<SwitchAnswer> {
    if (this.#stopped) return Promise.resolve(DISCONNECTED);
    if (!this.#running && !this.#dirty) return Promise.resolve(this.#answer());
    return new Promise((resolve) => this.#waiting.push({ asked: this.#asked, resolve }));
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#stopRetry?.();
    for (const { resolve } of this.#waiting.splice(0)) resolve(DISCONNECTED);
  }

  get #dirty(): boolean {
    return this.#whole || this.#pending.size > 0;
  }

  #answer(): SwitchAnswer {
    const refused = this.refused.map(({ key, reason }) => ({
      entry: key,
      owner: 'host table',
      error: reason,
    }));
    return refused.length === 0 ? { ok: true, refused } : { ok: false, reason: 'refused', refused };
  }

  #run(): void {
    if (this.#running || this.#stopped || this.#stopRetry !== undefined) return;
    this.#running = true;
    // Changes of one turn of the event loop go together.
    setImmediate(() => {
      void this.#sendWhileDirty().finally(() => {
        this.#running = false;
        // Something may have come between the last look and here.
        if (this.#dirty) this.#run();
      });
    });
  }

  async #sendWhileDirty(): Promise<void> {
    while (this.#dirty && !this.#stopped) {
      const asked = this.#asked;
      try {
        await this.#send();
      } catch (error) {
        if (this.#stopped) return;
        // What the agent has of it is not known: all of it again.
        this.#whole = true;
        this.events.trouble(error instanceof Error ? error.message : String(error));
        this.#stopRetry = this.clock.after(RETRY_MS, () => {
          this.#stopRetry = undefined;
          this.#run();
        });
        return;
      }
      const answer = this.#answer();
      const answered = this.#waiting.filter((one) => one.asked <= asked);
      this.#waiting = this.#waiting.filter((one) => one.asked > asked);
      for (const { resolve } of answered) resolve(answer);
    }
  }

  async #send(): Promise<void> {
    let whole = this.#whole;
    const parts = whole ? this.#allRows() : this.#changedRows();
    this.#whole = false;
    this.#pending = new Set();
    for (const [index, { put, remove }] of parts.entries()) {
      this.#revision += 1;
      this.events.sent(put.length + remove.length);
      const more = index < parts.length - 1;
      const params = { revision: this.#revision, whole, more, put, remove };
      const { refused } = await this.peer.call(HostTable, params, { deadlineMs: ANSWER_MS });
      whole = false;
      if (!more) this.refused = refused;
    }
  }

  #allRows(): Part[] {
    return parted([...this.source.of(this.host)], []);
  }

  #changedRows(): Part[] {
    const put: KeyedRow[] = [];
    const remove: string[] = [];
    for (const key of this.#pending) {
      const row = this.source.find(this.host, key);
      if (row === undefined) remove.push(key);
      else put.push({ key, row });
    }
    return parted(put, remove);
  }
}

interface KeyedRow {
  readonly key: string;
  readonly row: TableRow;
}

/** As the schema of the wire has it, which knows no `readonly`. */
type Writable<T> = T extends readonly (infer Element)[]
  ? Writable<Element>[]
  : T extends object
    ? { -readonly [Key in keyof T]: Writable<T[Key]> }
    : T;

interface Part {
  readonly put: Writable<KeyedRow>[];
  readonly remove: string[];
}

/** One part at least: an empty table is one, too. */
function parted(rows: readonly KeyedRow[], remove: readonly string[]): Part[] {
  const put = rows as Writable<KeyedRow>[];
  const parts: Part[] = [];
  for (let at = 0; at === 0 || at < Math.max(put.length, remove.length); at += MAX_TABLE_ROWS) {
    parts.push({ put: put.slice(at, at + MAX_TABLE_ROWS), remove: remove.slice(at, at + MAX_TABLE_ROWS) });
  }
  return parts;
}
