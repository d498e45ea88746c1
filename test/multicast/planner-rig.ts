/** A planner with a simulated network of up to 2^16 hosts, one VXLAN network over them, and a journal that can be lost. */
import type { DistributionFact, FactChange, HostFact, NetworkFact } from '../../controller/model/facts.js';
import type { JournalValue } from '../../controller/journal/journal.js';
import { DistributionPlanner, type PlannerOptions } from '../../controller/multicast/planner.js';
import { ManualClock, SimulatedNetwork } from './simulated-network.js';

export const NETWORK: NetworkFact = {
  id: 'acme/web',
  tenant: 'acme',
  name: 'web',
  number: 7,
  encapsulation: 'vxlan',
  tag: 10_001,
  uplinkHandOff: false,
};

const LEASE_MS = 15_000;

/** Remembers what was flushed; the rest is lost with the process. */
export class MemoryJournal {
  durable = new Map<string, JournalValue>();
  #values = new Map<string, JournalValue>();
  /** Set: flushing takes until it resolves. */
  blocked: Promise<void> | undefined;

  entries(prefix: string): Iterable<readonly [string, JournalValue]> {
    return [...this.#values].filter(([key]) => key.startsWith(prefix));
  }
  put(key: string, value: JournalValue): void {
    this.#values.set(key, value);
  }
  delete(key: string): void {
    this.#values.delete(key);
  }
  async flush(): Promise<void> {
    await this.blocked;
    this.durable = new Map(this.#values);
  }
  crash(): void {
    this.#values = new Map(this.durable);
  }
}

export class PlannerRig {
  readonly clock = new ManualClock();
  readonly journal = new MemoryJournal();
  readonly network: SimulatedNetwork;
  /** Of all distributions, as they are written. */
  readonly facts = new Map<string, DistributionFact>();
  readonly writes: (DistributionFact | undefined)[] = [];
  readonly warnings: string[] = [];
  planner: DistributionPlanner;
  #members = new Set<number>();
  #hosts = new Map<number, HostFact>();
  #networkFact: NetworkFact = NETWORK;

  constructor(
    count: number,
    private readonly options: Partial<PlannerOptions> = {},
  ) {
    const numbers = [...Array(count).keys()].map((index) => index + 1);
    this.network = new SimulatedNetwork(numbers, () => this.clock.now());
    for (const number of numbers) this.#hosts.set(number, hostFact(number));
    this.planner = this.#start();
    this.clock.advance(LEASE_MS);
  }

  get members(): ReadonlySet<number> {
    return this.#members;
  }

  get fact(): DistributionFact | undefined {
    return this.facts.get(String(NETWORK.number));
  }

  join(...numbers: readonly number[]): void {
    for (const number of numbers) this.#members.add(number);
    this.#tell(numbers.map((number) => endpointChange(number, true)));
  }

  leave(...numbers: readonly number[]): void {
    for (const number of numbers) this.#members.delete(number);
    this.#tell(numbers.map((number) => endpointChange(number, false)));
  }

  setHost(number: number, fact: HostFact): void {
    this.#hosts.set(number, fact);
    this.planner.facts([{ kind: 'host', key: fact.name, value: fact }]);
  }

  removeHost(number: number): void {
    this.#hosts.delete(number);
    this.planner.facts([{ kind: 'host', key: hostName(number) }]);
  }

  setNetwork(fact: NetworkFact | undefined): void {
    if (fact !== undefined) this.#networkFact = fact;
    this.planner.facts([
      { kind: 'network', key: NETWORK.id, ...(fact === undefined ? {} : { value: fact }) },
    ]);
  }

  /** The controller is killed and starts anew with what the journal has; switches keep what they have. */
  restart(): void {
    this.planner.close();
    this.journal.crash();
    this.facts.clear();
    this.planner = this.#start();
  }

  /** Lets everything run that waits for nothing but its turn. */
  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Until nothing is under way any more: hosts take up what is written, time passes. */
  async quiet(): Promise<void> {
    for (let round = 0; round < 40; round++) {
      await this.turn();
      this.network.takeAll();
      await this.turn();
      this.network.arriveOlderThan(0);
      this.clock.advance(500);
    }
    await this.turn();
    if (this.journal.blocked === undefined) await this.journal.flush(); // which it does by itself after a while
  }

  #start(): DistributionPlanner {
    const { clock, journal, network, facts } = this;
    const planner = new DistributionPlanner({
      distributions: {
        set: (key, value) => {
          facts.set(key, value);
          this.#written(key);
          return true;
        },
        delete: (key) => {
          const there = facts.delete(key);
          this.#written(key);
          return there;
        },
      },
      journal,
      switches: network,
      logger: { info: () => {}, warn: (_: object, text: string) => void this.warnings.push(text) },
      startMs: LEASE_MS,
      clock,
      ...this.options,
    });
    const hosts = [...this.#hosts.values()];
    planner.facts([
      { kind: 'network', key: NETWORK.id, value: this.#networkFact },
      ...hosts.map((value): FactChange => ({ kind: 'host', key: value.name, value })),
      ...[...this.#members].map((number) => endpointChange(number, true)),
    ]);
    if (facts.size === 0) this.#written(String(NETWORK.number));
    return planner;
  }

  #tell(changes: readonly FactChange[]): void {
    this.network.setMembers(new Set(this.#members));
    this.planner.facts(changes);
  }

  #written(key: string): void {
    if (key !== String(NETWORK.number)) return;
    const fact = this.facts.get(key);
    this.writes.push(fact);
    this.network.write(fact);
  }
}

export const hostName = (number: number): string => `h${number}`;

export const hostFact = (number: number): HostFact => ({
  name: hostName(number),
  number,
  datapathId: number.toString(16).padStart(16, '0'),
  vtepIpv4: 0x0a00_0000 + number,
});

export function endpointChange(number: number, attached: boolean): FactChange {
  const key = `${NETWORK.id}/e${number}`;
  if (!attached) return { kind: 'endpoint', key };
  return {
    kind: 'endpoint',
    key,
    value: {
      id: key,
      network: NETWORK.id,
      name: `e${number}`,
      number,
      mac: number,
      ipv4: [],
      ipv6: [],
      host: hostName(number),
      interface: `p${number}`,
      generation: 1,
    },
  };
}

export const range = (first: number, last: number): number[] =>
  [...Array(last - first + 1).keys()].map((index) => first + index);

/** Hosts of the tree in use, ascending. */
export const treeMembers = (fact: DistributionFact | undefined): number[] => {
  const tree = fact?.trees.find(({ colour }) => colour === fact.sending);
  if (tree === undefined) return [];
  return [tree.root, ...tree.edges.map(([, child]) => child)].sort((a, b) => a - b);
};
