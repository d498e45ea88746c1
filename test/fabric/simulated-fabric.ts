/** A fabric without switches: sessions that carry probes over wires, with a clock that the test moves. */
import {
  type Clock,
  type FabricEvent,
  FabricService,
  type FabricServiceOptions,
  type FabricSession,
  type FabricSettings,
} from '../../controller/fabric/index.js';
import { decodeLldp, NEAREST_BRIDGE } from '../../controller/fabric/lldp.js';
import { createLog } from '../../controller/log.js';
import type { Input } from '../../controller/derive/index.js';
import type { FabricPortFact, HostFact, LinkFact, StationFact } from '../../controller/model/facts.js';
import type { SwitchPort } from '../../controller/datapath/desired.js';
import {
  decode,
  Encoder,
  type FlowStats,
  F,
  type Message,
  oxm,
  type PacketOut,
  type PortDescription,
  PortReason,
  PortState,
} from '../../ofproto/index.js';

interface Timer {
  readonly at: number;
  callback: (() => void) | undefined;
}

export class FakeClock implements Clock {
  #now = 1_000;
  /** The next one last. */
  readonly #timers: Timer[] = [];

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer: Timer = { at: this.#now + milliseconds, callback };
    let place = this.#timers.length;
    while (place > 0 && (this.#timers[place - 1]?.at ?? 0) <= timer.at) place--;
    this.#timers.splice(place, 0, timer);
    return () => {
      timer.callback = undefined;
    };
  }

  /** Runs what is due, in order; promises that are settled by it go on before the next. */
  async advance(milliseconds: number): Promise<void> {
    const until = this.#now + milliseconds;
    await settled();
    for (let next = this.#timers.at(-1); next !== undefined && next.at <= until; next = this.#timers.at(-1)) {
      this.#timers.pop();
      this.#now = next.at;
      next.callback?.();
      if (this.#timers.at(-1)?.at !== next.at) await settled();
    }
    this.#now = until;
  }
}

const settled = async () => {
  for (let turn = 0; turn < 4; turn++) await Promise.resolve();
};

/** An input that shows what is written at once. */
export class Facts<V> extends Map<string, V> {
  /** Writes and deletions. */
  changes = 0;

  constructor(readonly name: string) {
    super();
  }

  asInput(): Input<V> {
    return {
      name: this.name,
      size: 0,
      get: (key) => this.get(key),
      has: (key) => this.has(key),
      entries: () => this.entries(),
      set: (key, value) => {
        this.changes++;
        this.set(key, value);
        return true;
      },
      delete: (key) => {
        this.changes++;
        return this.delete(key);
      },
    };
  }
}

/** What a wire does with frames: `cable` and `hub` carry all, `bridge` keeps those to the nearest bridge to itself. */
export type WireKind = 'cable' | 'hub' | 'bridge';

export interface Wire {
  readonly kind: WireKind;
  readonly ends: readonly string[];
  /** Only this end is heard by the others. */
  readonly oneWay?: string;
}

/** `1` -> `0000000000000001`. */
export const dpid = (number: number): string => number.toString(16).padStart(16, '0');
export const end = (number: number, port: number): string => `${dpid(number)}/${port}`;

export class SimulatedFabric {
  readonly clock = new FakeClock();
  readonly facts = {
    hosts: new Facts<HostFact>('hosts'),
    ports: new Facts<SwitchPort>('ports'),
    fabricPorts: new Facts<FabricPortFact>('fabric ports'),
    links: new Facts<LinkFact>('links'),
    stations: new Facts<StationFact>('stations'),
  };
  readonly events: FabricEvent[] = [];
  readonly service: FabricService;
  readonly sessions = new Map<string, SimulatedSession>();
  readonly wires: Wire[] = [];
  /** Frames that switches were told to forward. */
  readonly reinjected: PacketOut[] = [];
  probesSent = 0;

  constructor(
    settings: Partial<FabricSettings> = {},
    options:
      | Partial<FabricServiceOptions>
      | ((fabric: SimulatedFabric) => Partial<FabricServiceOptions>) = {},
  ) {
    this.service = new FabricService({
      facts: {
        hosts: this.facts.hosts.asInput(),
        ports: this.facts.ports.asInput(),
        fabricPorts: this.facts.fabricPorts.asInput(),
        links: this.facts.links.asInput(),
        stations: this.facts.stations.asInput(),
      },
      schedule: () => {},
      waitForSync: () => Promise.resolve(),
      reinjection: () => [{ type: 'resubmit', table: 9 }],
      stationTable: 3,
      logger: createLog({ level: 'error' }).component('fabric'),
      onEvent: (event) => this.events.push(event),
      settings,
      clock: this.clock,
      ...(typeof options === 'function' ? options(this) : options),
    });
  }

  /** A switch connects with ports 1 to `ports`, all up. */
  connect(
    number: number,
    ports: number,
    nameOf: (port: number) => string | undefined = () => undefined,
  ): SimulatedSession {
    const session = new SimulatedSession(this, dpid(number), ports, nameOf);
    this.sessions.set(session.datapathId, session);
    this.service.sessionUp(session.asSession());
    return session;
  }

  disconnect(number: number): void {
    const session = this.sessions.get(dpid(number));
    if (session === undefined) return;
    session.open = false;
    this.sessions.delete(session.datapathId);
    this.service.sessionDown(session.asSession());
  }

  wire(kind: WireKind, ...ends: string[]): Wire {
    const wire = { kind, ends };
    this.wires.push(wire);
    return wire;
  }

  unplug(wire: Wire): void {
    this.wires.splice(this.wires.indexOf(wire), 1);
  }

  /** What a switch sends out of a port arrives at the other ends a millisecond later. */
  carry(from: string, frame: Uint8Array): void {
    const lldp = decodeLldp(frame);
    if (lldp !== undefined) this.probesSent++;
    for (const wire of this.wires) {
      if (!wire.ends.includes(from) || (wire.oneWay ?? from) !== from) continue;
      if (wire.kind === 'bridge' && lldp?.destination === NEAREST_BRIDGE) continue;
      for (const to of wire.ends) {
        if (to === from) continue;
        this.clock.after(1, () => {
          this.deliver(to, frame);
        });
      }
    }
  }

  /** A frame comes in at a port and goes to the controller. */
  deliver(to: string, frame: Uint8Array): void {
    const [datapathId = '', port] = to.split('/');
    const session = this.sessions.get(datapathId);
    if (session?.up.has(Number(port)) !== true) return;
    this.service.packetIn(session.asSession(), {
      type: 'nx_packet_in2',
      xid: 0,
      packet: frame,
      metadata: [oxm(F.in_port, Number(port))],
    });
  }

  roles(): Record<string, string> {
    return Object.fromEntries(
      [...this.facts.fabricPorts.entries()].map(([key, { role }]) => [key, role]).sort(),
    );
  }

  /** `a -> b` of every link fact. */
  links(): string[] {
    return [...this.facts.links.entries()]
      .map(([key, { toDatapathId, toPort }]) => `${key} -> ${toDatapathId}/${toPort}`)
      .sort();
  }

  stations(): Record<string, string> {
    return Object.fromEntries(
      [...this.facts.stations.entries()]
        .map(([key, { datapathId, port }]) => [key, `${datapathId}/${port}`])
        .sort(),
    );
  }
}

export class SimulatedSession {
  open = true;
  readonly up = new Set<number>();
  readonly ports = new Map<number, PortDescription>();
  /** What it answers when its flow entries are asked for. */
  flows: FlowStats[] = [];
  readonly #session: FabricSession;

  constructor(
    readonly fabric: SimulatedFabric,
    readonly datapathId: string,
    ports: number,
    private readonly nameOf: (port: number) => string | undefined,
  ) {
    for (let port = 1; port <= ports; port++) {
      this.up.add(port);
      this.ports.set(port, this.#describe(port));
    }
    let xid = 0;
    const session = {
      datapathId,
      ports: this.ports,
      xid: () => ++xid,
      send: (message: Message) => this.#sent(message),
      sendPacketOut: (head: Uint8Array, packet: Uint8Array, from: number, to: number) => {
        const encoder = new Encoder();
        encoder.appendPacketOut(head, packet, from, to);
        return this.#sent(decode(encoder.take()));
      },
      interceptPacketIns: () => {},
      multipart: () =>
        Promise.resolve({
          type: 'multipart_reply',
          xid: 0,
          more: false,
          multipartType: 'flow',
          body: this.flows,
        }),
    };
    Object.defineProperty(session, 'open', { get: () => this.open });
    this.#session = session as unknown as FabricSession;
  }

  asSession(): FabricSession {
    return this.#session;
  }

  setPort(port: number, up: boolean): void {
    if (up) this.up.add(port);
    else this.up.delete(port);
    const description = this.#describe(port);
    this.ports.set(port, description);
    this.fabric.service.portStatus(this.#session, {
      type: 'port_status',
      xid: 0,
      reason: PortReason.MODIFY,
      port: description,
    });
  }

  #describe(portNo: number): PortDescription {
    return {
      portNo,
      hardwareAddress: 0x0200_0000_0000 + portNo,
      name: this.nameOf(portNo) ?? `p${portNo}`,
      config: 0,
      state: this.up.has(portNo) ? PortState.LIVE : PortState.LINK_DOWN,
      current: 0,
      advertised: 0,
      supported: 0,
      peer: 0,
      currentSpeed: 0,
      maxSpeed: 0,
    };
  }

  #sent(message: Message): boolean {
    if (message.type !== 'packet_out') throw new Error(`a ${message.type} was sent`);
    const [action] = message.actions;
    if (action?.type !== 'output') this.fabric.reinjected.push(message);
    else if (this.up.has(action.port)) this.fabric.carry(`${this.datapathId}/${action.port}`, message.data);
    return this.open;
  }
}

/** An ARP request of this station, in a VLAN if there is a tag. */
export function frameFrom(mac: number, vlan = 0): Uint8Array {
  const frame = new Uint8Array(64).fill(0xff, 0, 6);
  const view = new DataView(frame.buffer);
  view.setUint16(6, mac / 0x1_0000_0000);
  view.setUint32(8, mac);
  if (vlan !== 0) {
    view.setUint16(12, 0x8100);
    view.setUint16(14, vlan);
  }
  view.setUint16(vlan === 0 ? 12 : 16, 0x0806);
  return frame;
}
