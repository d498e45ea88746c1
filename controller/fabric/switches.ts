/** Switches of the fabric and their ports, as facts. */
import { Port, PortConfig, type PortDescription, PortState } from '../../ofproto/index.js';
import type { SwitchSession } from '../channel/index.js';
import type { FactInputs } from '../datapath/index.js';
import type { DatapathId } from '../model/facts.js';
import type { FabricMemory } from './memory.js';
import { Numbers } from './numbers.js';

/** What of a session is needed here. */
export type FabricSession = Pick<
  SwitchSession,
  'datapathId' | 'ports' | 'open' | 'xid' | 'send' | 'sendPacketOut' | 'interceptPacketIns' | 'multipart'
>;

export interface SwitchPortState {
  readonly number: number;
  readonly name: string;
  readonly hardwareAddress: number;
  readonly up: boolean;
}

export interface SwitchState {
  readonly datapathId: DatapathId;
  /** 16 bits. */
  readonly number: number;
  readonly ports: ReadonlyMap<number, SwitchPortState>;
  /** Absent while it is away. */
  readonly session: FabricSession | undefined;
}

type Mutable = { -readonly [K in keyof SwitchState]: SwitchState[K] } & {
  ports: Map<number, SwitchPortState>;
};

/** A port changed; `after` absent: it is gone. */
export interface PortChange {
  readonly before: SwitchPortState | undefined;
  readonly after: SwitchPortState | undefined;
}

/**
 * The ports of a switch that is away stay: what was true when it left is the best guess of what it forwards to. Only ports that lead out of
 * the switch count: not `LOCAL`, nor any other reserved port.
 */
export class Switches {
  readonly #facts: Pick<FactInputs, 'hosts' | 'ports'>;
  readonly #memory: FabricMemory;
  readonly #switches = new Map<DatapathId, Mutable>();
  /** 0 is no switch. */
  readonly #numbers = new Numbers(1, 0x1_0000);

  /** Those that are remembered are there from the start, without a session. */
  constructor(facts: Pick<FactInputs, 'hosts' | 'ports'>, memory: FabricMemory) {
    this.#facts = facts;
    this.#memory = memory;
    this.#restore();
  }

  get(datapathId: DatapathId): SwitchState | undefined {
    return this.#switches.get(datapathId);
  }

  all(): IterableIterator<SwitchState> {
    return this.#switches.values();
  }

  /** A switch is there, first or again: what became of its ports. `undefined`: there are 65,535 switches already. */
  up(session: FabricSession): readonly PortChange[] | undefined {
    const { datapathId } = session;
    let state = this.#switches.get(datapathId);
    if (state === undefined) {
      const number = this.#numbers.take();
      if (number === undefined) return undefined;
      state = { datapathId, number, ports: new Map(), session };
      this.#add(state);
    }
    state.session = session;
    this.#remember(state);
    const changes: PortChange[] = [];
    for (const [number, before] of state.ports) {
      if (session.ports.has(number)) continue;
      this.#remove(state, before);
      changes.push({ before, after: undefined });
    }
    for (const description of session.ports.values()) {
      const change = this.#set(state, description);
      if (change !== undefined) changes.push(change);
    }
    return changes;
  }

  /** Its connection is over; false where a newer one has taken its place. */
  down(session: FabricSession): boolean {
    const state = this.#switches.get(session.datapathId);
    if (state?.session !== session) return false;
    state.session = undefined;
    this.#remember(state);
    return true;
  }

  /** It was remembered, and has not come back. */
  stayedAway(datapathId: DatapathId): void {
    const state = this.#switches.get(datapathId);
    if (state !== undefined) this.#remember(state);
  }

  /** `undefined`: nothing that matters. */
  portChanged(datapathId: DatapathId, description: PortDescription, gone: boolean): PortChange | undefined {
    const state = this.#switches.get(datapathId);
    if (state === undefined) return undefined;
    if (!gone) return this.#set(state, description);
    const before = state.ports.get(description.portNo);
    if (before === undefined) return undefined;
    this.#remove(state, before);
    return { before, after: undefined };
  }

  /** It is no switch of the fabric any more. */
  forget(datapathId: DatapathId): void {
    const state = this.#switches.get(datapathId);
    if (state === undefined) return;
    for (const port of state.ports.values()) this.#remove(state, port);
    this.#switches.delete(datapathId);
    this.#facts.hosts.delete(datapathId);
    this.#memory.deleteSwitch(datapathId);
    this.#numbers.giveBack(state.number);
  }

  #restore(): void {
    const taken = new Set<number>();
    for (const { datapathId, number } of this.#memory.switches()) {
      if (taken.has(number)) this.#memory.deleteSwitch(datapathId);
      else this.#add({ datapathId, number, ports: new Map(), session: undefined });
      taken.add(number);
    }
    this.#numbers.reserve(taken);
    for (const { datapathId, port: number, name, hardwareAddress } of this.#memory.ports()) {
      this.#switches.get(datapathId)?.ports.set(number, { number, name, hardwareAddress, up: true });
      if (this.#switches.has(datapathId))
        this.#facts.ports.set(`${datapathId}/${name}`, { datapathId, name, number, up: true });
    }
  }

  #add(state: Mutable): void {
    const { datapathId, number } = state;
    this.#switches.set(datapathId, state);
    this.#facts.hosts.set(datapathId, { name: datapathId, number, datapathId });
  }

  #remember({ datapathId, number, session }: SwitchState): void {
    this.#memory.putSwitch({ datapathId, number, away: session === undefined });
  }

  #set(state: Mutable, { portNo, name, hardwareAddress, config, state: bits }: PortDescription) {
    if (portNo > Port.MAX || portNo === 0) return undefined;
    const up = (config & PortConfig.PORT_DOWN) === 0 && (bits & PortState.LINK_DOWN) === 0;
    const before = state.ports.get(portNo);
    if (before?.name === name && before.up === up && before.hardwareAddress === hardwareAddress)
      return undefined;
    if (before !== undefined && before.name !== name) this.#removeFact(state, before);
    const after = { number: portNo, name, hardwareAddress, up };
    state.ports.set(portNo, after);
    const { datapathId } = state;
    this.#facts.ports.set(`${datapathId}/${name}`, { datapathId, name, number: portNo, up });
    return { before, after };
  }

  #remove(state: Mutable, port: SwitchPortState): void {
    state.ports.delete(port.number);
    this.#removeFact(state, port);
  }

  /** The name may be another port's by now. */
  #removeFact({ datapathId, ports }: Mutable, { name, number }: SwitchPortState): void {
    for (const other of ports.values()) if (other.name === name && other.number !== number) return;
    this.#facts.ports.delete(`${datapathId}/${name}`);
  }
}
