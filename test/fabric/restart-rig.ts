/**
 * Controllers of a fabric that come and go, and switches that stay: discovery, stations and flood planner as they are wired in
 * `controller/main/fabric.ts`, on switches that hold what they have taken over so far, and a journal that loses what was not durable.
 */
import { FloodPlanner } from '../../controller/fabric/flood-planner.js';
import { FabricMemory, type FabricJournal } from '../../controller/fabric/memory.js';
import { Parts } from '../../controller/trees/index.js';
import type { FloodPortFact } from '../../controller/model/facts.js';
import type { JournalValue } from '../../controller/journal/journal.js';
import {
  dpid,
  Facts,
  type FakeClock,
  SimulatedFabric,
  type SimulatedSession,
  type Wire,
} from './simulated-fabric.js';

export const CLASSES = 2;
/** Milliseconds until what is flushed is durable. */
const WRITE_MS = 5;

type Write = readonly [key: string, value: JournalValue | undefined];

/** Writes become durable in their order: all before a `flush` that resolved, and any number of those after it. */
export class MemoryJournal implements FabricJournal {
  /** Writes, those that change nothing included. */
  writes = 0;
  readonly #values: Map<string, JournalValue>;
  readonly #durable: Map<string, JournalValue>;
  #pending: Write[] = [];

  constructor(
    values: ReadonlyMap<string, JournalValue> = new Map(),
    private readonly after: (milliseconds: number, callback: () => void) => void = (_, callback) => {
      callback();
    },
  ) {
    this.#values = new Map(values);
    this.#durable = new Map(values);
  }

  get(key: string): JournalValue | undefined {
    return this.#values.get(key);
  }

  *entries(prefix: string): Generator<readonly [string, JournalValue]> {
    for (const entry of this.#values) if (entry[0].startsWith(prefix)) yield entry;
  }

  put(key: string, value: JournalValue): void {
    this.writes++;
    this.#values.set(key, value);
    this.#pending.push([key, value]);
  }

  delete(key: string): void {
    if (!this.#values.delete(key)) return;
    this.writes++;
    this.#pending.push([key, undefined]);
  }

  async flush(): Promise<void> {
    const last = this.#pending.at(-1);
    await new Promise<void>((resolve) => {
      this.after(WRITE_MS, resolve);
    });
    if (last !== undefined) this.#write(this.#pending.indexOf(last) + 1);
  }

  /** What the next process finds; of what was not durable, the first `also` writes. */
  crash(also = 0): ReadonlyMap<string, JournalValue> {
    this.#write(also);
    return this.#durable;
  }

  #write(count: number): void {
    for (const [key, value] of this.#pending.splice(0, count)) {
      if (value === undefined) this.#durable.delete(key);
      else this.#durable.set(key, value);
    }
  }
}

/** By key: `open/<port>`, with its role, and `flood/<class>/<port>`. */
type Table = ReadonlyMap<string, string>;

const equal = (a: Table, b: Table): boolean =>
  a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);

/** A switch as one process sees it. */
interface Connection {
  readonly session: SimulatedSession;
  /** It has been read, and is told of changes. */
  added: boolean;
  asked: Table;
  /** Asked for and not yet taken over, in order. */
  pending: { readonly table: Table; readonly answer: () => void; readonly done: Promise<void> }[];
  /** It has shown what it holds, or is not remembered. */
  proved: boolean;
}

const OK = { ok: true, refused: [] } as const;
const DISCONNECTED = { ok: false, reason: 'disconnected', refused: [] } as const;

export class RestartRig {
  /** What each switch holds, by number. */
  readonly held = new Map<number, Table>();
  readonly wires: Wire[] = [];
  /** What went wrong, in words. */
  readonly violations: string[] = [];
  /** Tables that switches have taken over. */
  applied = 0;
  fabric!: SimulatedFabric;
  planner!: FloodPlanner;
  readonly away = new Facts<{ datapathId: string }>('away');
  journal!: MemoryJournal;
  #floodPorts!: Facts<FloodPortFact>;
  #connections = new Map<number, Connection>();
  #waiting = new Set<() => void>();
  #unproved = new Set<string>();
  #delay = 0;
  #clock!: FakeClock;

  /** @param delays Milliseconds until a switch takes over what it is asked for, in turn. */
  constructor(
    readonly switches: number,
    readonly ports: number,
    private readonly delays: readonly number[] = [1],
  ) {
    for (let number = 1; number <= switches; number++) this.held.set(number, new Map());
    this.start(new Map());
  }

  start(records: ReadonlyMap<string, JournalValue>): void {
    this.#connections = new Map();
    this.#waiting = new Set();
    const floodPorts = new Facts<FloodPortFact>('flood ports');
    this.#floodPorts = floodPorts;
    this.away.clear();
    this.fabric = new SimulatedFabric({}, ({ facts, clock }) => {
      this.#clock = clock;
      const journal = new MemoryJournal(records, (milliseconds, callback) =>
        clock.after(milliseconds, callback),
      );
      this.journal = journal;
      const memory = new FabricMemory(journal);
      this.#unproved = new Set([...memory.switches()].map(({ datapathId }) => datapathId));
      const planner = new FloodPlanner({
        classes: CLASSES,
        facts: {
          hosts: facts.hosts.asInput(),
          links: facts.links.asInput(),
          floodPorts: floodPorts.asInput(),
          awaySwitches: this.away.asInput(),
        },
        memory,
        settle: () => this.#settle(),
        waitForSync: (datapathId) => this.#inSync(datapathId),
        app: 'flooding',
        clock,
        onFailure: (error) => this.violations.push(String(error)),
      });
      this.planner = planner;
      return {
        memory,
        facts: {
          ...planner.facts,
          ports: facts.ports.asInput(),
          fabricPorts: facts.fabricPorts.asInput(),
          stations: facts.stations.asInput(),
        },
        schedule: () => void this.#settle(),
        waitForSync: (datapathId) => this.#inSync(datapathId),
        onLinkConfirmed: (key) => planner.linkConfirmed(key),
        onStayedAway: (datapathId) => planner.switchAway(datapathId),
      };
    });
    this.fabric.wires.push(...this.wires);
    this.planner.restore();
  }

  /**
   * The process ends at once and another one starts.
   * @param durable writes to the journal that were under way and got through
   * @param onTheWay whether switches take over what was on its way to them
   */
  crash(durable: number, onTheWay: boolean): void {
    if (onTheWay) {
      for (const [number, { pending }] of this.#connections) {
        for (const { table } of pending) this.#apply(number, table);
      }
    }
    this.start(this.journal.crash(durable));
  }

  isConnected(number: number): boolean {
    return this.#connections.has(number);
  }

  /** @param nameOf of a port; undefined: the one that it has always had */
  connect(
    number: number,
    ports = this.ports,
    nameOf: (port: number) => string | undefined = () => undefined,
  ): void {
    const datapathId = dpid(number);
    const proved = !this.#unproved.has(datapathId);
    const session = this.fabric.connect(number, ports, nameOf);
    const connection = { session, added: false, asked: new Map(), pending: [], proved };
    this.#connections.set(number, connection);
    this.planner.switchUp(datapathId);
    void this.#add(number, connection);
  }

  /** A cable is moved; switches that are connected tell of it. */
  change(cable: Wire, plugged: boolean): void {
    for (const wires of [this.wires, this.fabric.wires]) {
      if (plugged) wires.push(cable);
      else wires.splice(wires.indexOf(cable), 1);
    }
    for (const each of cable.ends) {
      const [number, port] = placeOf(each);
      const session = this.#connections.get(number)?.session;
      session?.setPort(port, false);
      session?.setPort(port, true);
    }
  }

  /** Cables over which frames of a class are flooded now. */
  flooding(treeClass: number): Wire[] {
    return this.wires.filter(({ ends }) =>
      ends.every((each) => {
        const [number, port] = placeOf(each);
        const held = this.held.get(number);
        const role = held?.get(`open/${port}`);
        return role === 'edge' || (role === 'link' && held?.has(`flood/${treeClass}/${port}`) === true);
      }),
    );
  }

  /** What the facts ask of a switch. */
  desired(number: number): Table {
    const table = new Map<string, string>();
    const datapathId = dpid(number);
    for (const fact of this.fabric.facts.fabricPorts.values()) {
      if (fact.datapathId === datapathId && fact.role !== 'blocked')
        table.set(`open/${fact.port}`, fact.role);
    }
    for (const fact of this.#floodPorts.values()) {
      if (fact.datapathId === datapathId) table.set(`flood/${fact.treeClass}/${fact.port}`, '');
    }
    return table;
  }

  async #add(number: number, connection: Connection): Promise<void> {
    await this.#settle();
    if (!connection.proved) {
      connection.proved = true;
      const datapathId = dpid(number);
      this.#unproved.delete(datapathId);
      const held = this.held.get(number);
      if ([...this.desired(number).keys()].some((key) => held?.has(key) !== true)) {
        this.fabric.service.distrust(datapathId);
        this.planner.distrust(datapathId);
        await this.#settle();
      }
    }
    if (this.#connections.get(number) !== connection) return;
    connection.added = true;
    connection.asked = this.held.get(number) ?? new Map();
    await this.#settle();
  }

  /** At the end of this turn of the event loop. */
  async #settle() {
    await new Promise<void>((resolve) => {
      this.#clock.after(0, resolve);
    });
    for (const [number, connection] of this.#connections) {
      const table = this.desired(number);
      if (connection.added && !equal(table, connection.asked)) this.#ask(number, connection, table);
    }
    for (const check of this.#waiting) check();
    const answers = new Map(
      [...this.#connections].map(([number, { added, pending }]) => [
        dpid(number),
        added ? (pending.at(-1)?.done ?? Promise.resolve()) : undefined,
      ]),
    );
    return {
      acknowledged: async (datapathId: string) => {
        const done = answers.get(datapathId);
        if (done === undefined) return DISCONNECTED;
        await done;
        return OK;
      },
    };
  }

  #ask(number: number, connection: Connection, table: Table): void {
    connection.asked = table;
    let answer = (): void => {};
    const done = new Promise<void>((resolve) => {
      answer = resolve;
    });
    connection.pending.push({ table, answer, done });
    const delay = this.delays[this.#delay++ % this.delays.length] ?? 1;
    this.fabric.clock.after(delay, () => {
      const next = connection.pending.shift();
      if (next === undefined) return;
      this.#apply(number, next.table);
      next.answer();
      for (const check of this.#waiting) check();
    });
  }

  #inSync(datapathId: string): Promise<void> {
    const inSync = (): boolean => {
      const connection = this.#connections.get(Number.parseInt(datapathId, 16));
      return connection?.added === true && connection.pending.length === 0;
    };
    return new Promise((resolve) => {
      const check = (): void => {
        if (!inSync()) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  /** The switch takes over a table; what floods because of that closes no loop. */
  #apply(number: number, table: Table): void {
    const before = this.#byClass();
    this.held.set(number, table);
    this.applied++;
    for (const [treeClass, wires] of this.#byClass().entries()) {
      const parts = new Parts();
      const stood = new Set(before[treeClass]);
      for (const { ends } of stood) parts.join(...numbersOf(ends));
      for (const wire of wires) {
        if (stood.has(wire) || parts.join(...numbersOf(wire.ends))) continue;
        this.violations.push(`class ${treeClass}: ${wire.ends.join(' - ')} closes a loop`);
      }
    }
  }

  #byClass(): Wire[][] {
    return Array.from({ length: CLASSES }, (_, treeClass) => this.flooding(treeClass));
  }
}

/** Number of the switch, and of the port. */
export function placeOf(key: string): [number, number] {
  const [datapathId = '', port] = key.split('/');
  return [Number.parseInt(datapathId, 16), Number(port)];
}

export function numbersOf([a = '', b = '']: readonly string[]): [number, number] {
  return [placeOf(a)[0], placeOf(b)[0]];
}
