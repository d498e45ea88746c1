/**
 * OVSDB client (RFC 7047) that keeps itself connected and keeps a copy of the tables it was asked to watch.
 *
 * After each (re)connection it reads the schema, monitors the tables and only then calls itself ready: whoever
 * waits for `ready` sees the whole database, never half of it. The difference to the copy from before is given to the listeners as
 * changes, so that a server that came back with an empty database shows as deletions.
 */
import { silentLogger, type Logger } from '../logger.js';
import { describeError, OvsdbConnection, parseRemote } from './connection.js';
import { OvsdbError } from './error.js';
import { Replica, type AnyRow, type RowChange } from './replica.js';
import type { Columns, Row, Table } from './schema.js';
import type { Operation } from './transaction.js';

export interface ClientOptions {
  /** `unix:PATH` or `tcp:HOST:PORT`. */
  readonly remote: string;
  /** Database name (default Open_vSwitch). */
  readonly database?: string;
  /** Tables to keep a copy of; every column named must exist on the server. */
  readonly tables: readonly Table[];
  readonly logger?: Logger;
  /** Silence after which the server is probed; twice that closes the connection (default 5,000 ms, 0: never). */
  readonly probeIntervalMs?: number;
  /** First and longest pause between connection attempts (default 100 and 2,000 ms). */
  readonly reconnectMs?: { readonly first: number; readonly longest: number };
  /** Time for the answer to a request (default 10,000 ms). */
  readonly requestTimeoutMs?: number;
  /** Longest message taken from the server (default 64 MiB: the first update holds all the rows). */
  readonly maxMessageBytes?: number;
}

export type ClientState = 'connecting' | 'ready' | 'closed';

const MONITOR_ID = 'weft';

export class OvsdbClient {
  private readonly database: string;
  private readonly logger: Logger;
  private readonly tables: ReadonlyMap<string, Table>;
  private readonly changeListeners = new Set<(changes: readonly RowChange[]) => void>();
  private readonly stateListeners = new Set<(state: ClientState) => void>();
  private readonly lockListeners = new Set<(lock: string, held: boolean) => void>();
  private connection: OvsdbConnection | undefined;
  private replica: Replica;
  private currentState: ClientState = 'connecting';
  private retry: NodeJS.Timeout | undefined;
  private pauseMs: number;
  private lastFailure = '';
  /** Updates that came in one chunk with the answer to `monitor`, whose promise had not settled yet. */
  private early: unknown[] | undefined;

  constructor(private readonly options: ClientOptions) {
    parseRemote(options.remote);
    this.database = options.database ?? 'Open_vSwitch';
    this.logger = options.logger ?? silentLogger;
    this.tables = new Map(options.tables.map((table) => [table.name, table]));
    this.replica = new Replica(this.tables);
    this.pauseMs = this.reconnectMs.first;
    void this.connect();
  }

  get state(): ClientState {
    return this.currentState;
  }

  /** Rows of a monitored table by UUID, as of the last update. Kept (old) while disconnected. */
  rows<C extends Columns>(table: Table<C>): ReadonlyMap<string, Row<C>> {
    return this.replica.table(table.name) as ReadonlyMap<string, Row<C>>;
  }

  /** The first row that a test accepts, with its UUID. */
  find<C extends Columns>(
    table: Table<C>,
    accept: (row: Row<C>) => boolean,
  ): { readonly uuid: string; readonly row: Row<C> } | undefined {
    for (const [uuid, row] of this.rows(table)) {
      if (accept(row)) return { uuid, row };
    }
    return undefined;
  }

  /** Called after every update with what changed. Returns the function that ends it. */
  onChange(listener: (changes: readonly RowChange[]) => void): () => void {
    this.changeListeners.add(listener);
    return () => this.changeListeners.delete(listener);
  }

  /** Called on each change of {@link state}. Returns the function that ends it. */
  onState(listener: (state: ClientState) => void): () => void {
    this.stateListeners.add(listener);
    return () => this.stateListeners.delete(listener);
  }

  /** Called when a lock asked for with {@link lock} was given later (`held`) or was stolen. */
  onLock(listener: (lock: string, held: boolean) => void): () => void {
    this.lockListeners.add(listener);
    return () => this.lockListeners.delete(listener);
  }

  /** Resolves with the first defined value of `probe`, tried now and after every update and state change. */
  waitFor<T>(what: string, probe: () => T | undefined, timeoutMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const ends: (() => void)[] = [];
      const settle = (act: () => void): void => {
        for (const end of ends) end();
        act();
      };
      const attempt = (): void => {
        let value: T | undefined;
        try {
          value = probe();
        } catch (error) {
          settle(() => reject(error as Error));
          return;
        }
        if (value !== undefined) settle(() => resolve(value));
        else if (this.currentState === 'closed') {
          settle(() => reject(new OvsdbError('ovsdb.closed', `closed while waiting for ${what}`)));
        }
      };
      const timer = setTimeout(
        () => settle(() => reject(new OvsdbError('ovsdb.timeout', `waited ${timeoutMs} ms for ${what}`))),
        timeoutMs,
      );
      ends.push(() => clearTimeout(timer), this.onChange(attempt), this.onState(attempt));
      attempt();
    });
  }

  /** Resolves when the copy is whole. */
  async ready(timeoutMs = 10_000): Promise<void> {
    await this.waitFor(
      `${this.options.remote}${this.lastFailure === '' ? '' : ` (${this.lastFailure})`}`,
      () => (this.currentState === 'ready' ? true : undefined),
      timeoutMs,
    );
  }

  /**
   * Run operations as one transaction; gives the result of each. Rejects with `ovsdb.transaction` when one of them failed, and then
   * nothing of it happened.
   */
  async transact(operations: readonly Operation[]): Promise<readonly Record<string, unknown>[]> {
    const results = (await this.request('transact', [this.database, ...operations])) as (Record<
      string,
      unknown
    > | null)[];
    const failed = results.findIndex((result) => result !== null && 'error' in result);
    if (failed !== -1) {
      const where = operations[failed];
      const what = where === undefined ? 'the commit' : `${where.op} ${'table' in where ? where.table : ''}`;
      throw new OvsdbError('ovsdb.transaction', `${what.trim()}: ${describeError(results[failed])}`, {
        operation: failed,
      });
    }
    return results as Record<string, unknown>[];
  }

  async listDatabases(): Promise<readonly string[]> {
    return (await this.request('list_dbs', [])) as string[];
  }

  async getSchema(): Promise<unknown> {
    return await this.request('get_schema', [this.database]);
  }

  async echo(): Promise<void> {
    await this.request('echo', []);
  }

  /** Ask for a named lock (RFC 7047 section 4.1.8); false: queued, {@link onLock} tells. A lost connection loses it. */
  async lock(name: string): Promise<boolean> {
    return ((await this.request('lock', [name])) as { locked: boolean }).locked;
  }

  async unlock(name: string): Promise<void> {
    await this.request('unlock', [name]);
  }

  /** End the connection and all attempts; waiting calls reject with `ovsdb.closed`. */
  close(): void {
    clearTimeout(this.retry);
    this.setState('closed');
    this.connection?.close();
  }

  private get reconnectMs(): { readonly first: number; readonly longest: number } {
    return this.options.reconnectMs ?? { first: 100, longest: 2_000 };
  }

  private request(method: string, params: readonly unknown[]): Promise<unknown> {
    if (this.connection === undefined) {
      return Promise.reject(new OvsdbError('ovsdb.closed', `not connected to ${this.options.remote}`));
    }
    return this.connection.request(method, params, this.options.requestTimeoutMs ?? 10_000);
  }

  private async connect(): Promise<void> {
    try {
      const connection = await OvsdbConnection.connect({
        remote: this.options.remote,
        probeIntervalMs: this.options.probeIntervalMs ?? 5_000,
        maxMessageBytes: this.options.maxMessageBytes ?? 64 * 1024 * 1024,
        connectTimeoutMs: this.options.requestTimeoutMs ?? 10_000,
        onNotification: (method, params) => this.notified(method, params),
        onClose: (reason) => this.lost(reason),
      });
      if (this.currentState === 'closed') {
        connection.close();
        return;
      }
      this.connection = connection;
      await this.monitor();
      this.pauseMs = this.reconnectMs.first;
      this.lastFailure = '';
      this.logger.info({ event: 'ovsdb.connected', remote: this.options.remote });
    } catch (error) {
      if (this.connection === undefined) this.retryLater(error as Error);
      else this.connection.close(error instanceof OvsdbError ? error : undefined);
    }
  }

  /** Read the schema, monitor, and replace the copy by what the server holds. */
  private async monitor(): Promise<void> {
    this.checkSchema((await this.getSchema()) as ServerSchema);
    const requests = [...this.tables.values()].map(
      (table) => [table.name, [{ columns: Object.keys(table.columns) }]] as const,
    );
    const params = [this.database, MONITOR_ID, Object.fromEntries(requests)];
    let initial: unknown;
    const fresh = new Replica(this.tables);
    this.early = [];
    try {
      initial = await this.request('monitor_cond', params);
    } catch (error) {
      if (!(error instanceof OvsdbError) || error.code !== 'ovsdb.refused') throw error;
      initial = await this.request('monitor', params);
    }
    fresh.apply(initial);
    for (const update of this.early) fresh.apply(update);
    this.early = undefined;
    const changes = differences(this.tables.keys(), this.replica, fresh);
    this.replica = fresh;
    this.setState('ready');
    if (changes.length > 0) this.tell(changes);
  }

  private checkSchema(schema: ServerSchema): void {
    for (const table of this.tables.values()) {
      const columns = schema.tables?.[table.name]?.columns;
      const missing = Object.keys(table.columns).filter((column) => columns?.[column] === undefined);
      if (missing.length > 0) {
        throw new OvsdbError('ovsdb.schema', `${this.database}.${table.name} has no ${missing.join(', ')}`, {
          fix: 'Open vSwitch 2.13 or later is needed',
        });
      }
    }
  }

  private notified(method: string, params: readonly unknown[]): void {
    if ((method === 'update' || method === 'update2') && params[0] === MONITOR_ID) {
      if (this.early !== undefined) this.early.push(params[1]);
      else this.tell(this.replica.apply(params[1]));
    } else if (method === 'locked' || method === 'stolen') {
      for (const listener of this.lockListeners) listener(String(params[0]), method === 'locked');
    }
  }

  private lost(reason: OvsdbError): void {
    this.connection = undefined;
    this.early = undefined;
    if (this.currentState === 'closed') return;
    this.setState('connecting');
    this.retryLater(reason);
  }

  private retryLater(reason: Error): void {
    if (this.currentState === 'closed') return;
    // One line per kind of failure, not one per attempt.
    if (reason.message !== this.lastFailure) {
      this.logger.warn({ event: 'ovsdb.disconnected', remote: this.options.remote, reason: reason.message });
    }
    this.lastFailure = reason.message;
    this.retry = setTimeout(() => void this.connect(), this.pauseMs);
    this.pauseMs = Math.min(this.pauseMs * 2, this.reconnectMs.longest);
  }

  private setState(state: ClientState): void {
    if (this.currentState === state || this.currentState === 'closed') return;
    this.currentState = state;
    for (const listener of this.stateListeners) listener(state);
  }

  private tell(changes: readonly RowChange[]): void {
    for (const listener of this.changeListeners) listener(changes);
  }
}

interface ServerSchema {
  readonly tables?: Readonly<Record<string, { readonly columns?: Readonly<Record<string, unknown>> }>>;
}

/** What a reconnection shows as changed: rows are compared as text, for values are plain, sets and maps of them. */
function differences(tables: Iterable<string>, before: Replica, after: Replica): RowChange[] {
  const changes: RowChange[] = [];
  for (const table of tables) {
    const old = before.table(table);
    const now = after.table(table);
    for (const [uuid, row] of now) {
      const was = old.get(uuid);
      if (was === undefined || fingerprint(was) !== fingerprint(row)) {
        changes.push({ table, uuid, before: was, after: row });
      }
    }
    for (const [uuid, row] of old) {
      if (!now.has(uuid)) changes.push({ table, uuid, before: row, after: undefined });
    }
  }
  return changes;
}

function fingerprint(row: AnyRow): string {
  return JSON.stringify(row, (_key, value: unknown) => {
    if (value instanceof Map) return [...(value as Map<string, string>)].sort();
    return Array.isArray(value) ? [...(value as unknown[])].sort() : value;
  });
}
