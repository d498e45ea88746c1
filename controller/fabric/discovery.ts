/**
 * Roles of ports and links between switches, from the probes that they send each other. See docs/fabric.md.
 *
 * All decisions are in `roles.ts`; this is the memory of who was heard by whom, and what changes it: ports that come and go, probes that
 * are heard or missed, switches that are away.
 */
import type { FactInputs } from '../datapath/index.js';
import type { DatapathId } from '../model/facts.js';
import type { Clock } from './clock.js';
import { comparePorts, FabricPort, type Hearing, portKey } from './fabric-port.js';
import type { FabricMemory } from './memory.js';
import { ProbeSchedule } from './probe-schedule.js';
import { type HeardProbe, Probes, type Reach } from './probes.js';
import { judgeRemembered, recordOf } from './remembered-ports.js';
import { type Circumstances, rolesOf, segmentOf, type Verdict } from './roles.js';
import type { FabricSettings } from './settings.js';
import type { FabricEvent, FabricLink } from './types.js';

export interface DiscoveryOptions {
  readonly facts: Pick<FactInputs, 'fabricPorts' | 'links'>;
  readonly memory: FabricMemory;
  readonly settings: FabricSettings;
  readonly clock: Clock;
  /** Sends a frame out of a port. */
  readonly send: (port: FabricPort, frame: Uint8Array) => void;
  /** Facts have changed. */
  readonly changed: () => void;
  /** A port has become an edge port, or is none any more. */
  readonly edge: (datapathId: DatapathId, port: number, isEdge: boolean) => void;
  /** Both ends of a link that was remembered have heard each other. `key`: of the facts of one direction. */
  readonly confirmed: (key: string) => void;
  readonly onEvent: (event: FabricEvent) => void;
}

/** What a port is when it comes up. */
export interface NewPort {
  readonly datapathId: DatapathId;
  readonly port: number;
  readonly name: string;
  readonly hardwareAddress: number;
}

export class Discovery {
  readonly probes: Probes;
  readonly #options: DiscoveryOptions;
  readonly #schedule: ProbeSchedule<FabricPort>;
  /** Ports that are up, by switch and number. */
  readonly #switches = new Map<DatapathId, Map<number, FabricPort>>();
  /** Switches that send and hear probes. */
  readonly #ready = new Set<DatapathId>();
  /** Switches that were away when a port that was linked to them went down, by key of the port. */
  readonly #awaited = new Map<string, DatapathId>();
  /** Switches that are remembered as connected, and have not been ready since. */
  readonly #returning = new Set<DatapathId>();
  #restoring = false;

  constructor(options: DiscoveryOptions) {
    const { settings, clock } = options;
    this.#options = options;
    this.probes = new Probes(settings.probeLifeMs);
    this.#schedule = new ProbeSchedule({
      clock,
      intervalMs: settings.probeIntervalMs,
      firstMs: settings.firstProbesMs,
      perSecond: settings.probesPerSecond,
      probe: (port) => this.#probe(port),
      settled: (port) => {
        port.settled = true;
        this.#decide([port]);
      },
    });
  }

  port(datapathId: DatapathId, port: number): FabricPort | undefined {
    return this.#switches.get(datapathId)?.get(port);
  }

  ports(datapathId: DatapathId): Iterable<FabricPort> {
    return this.#switches.get(datapathId)?.values() ?? [];
  }

  /** Each link once, from the end that sorts first. */
  *links(): Generator<FabricLink> {
    for (const ports of this.#switches.values()) {
      for (const port of ports.values()) {
        const { neighbour } = port;
        if (neighbour !== undefined && comparePorts(port, neighbour) < 0) yield linkOf(port, neighbour);
      }
    }
  }

  /**
   * Before any switch is there: ports have the roles that are remembered of them, as far as the records agree with each other, until
   * probes tell otherwise.
   */
  restore(): void {
    const { clock, memory, settings } = this.#options;
    for (const { datapathId, away } of memory.switches()) if (!away) this.#returning.add(datapathId);
    for (const [key, datapathId] of memory.awaited()) this.#awaited.set(key, datapathId);
    const records = new Map(
      [...memory.ports()].map((record) => [portKey(record.datapathId, record.port), record]),
    );
    const ports = new Map<string, FabricPort>();
    for (const [key, record] of records) {
      const port = this.#add(record);
      if (record.quiet) this.#quiet([port], clock.now() + settings.silentMs);
      ports.set(key, port);
    }
    this.#restoring = true;
    const judged = judgeRemembered(ports, records, this.#circumstances());
    for (const [port, verdict] of judged) this.#assign(port, verdict);
    for (const port of ports.values()) this.#remember(port);
    this.#restoring = false;
  }

  portUp(port: NewPort): void {
    this.portDown(port.datapathId, port.port);
    const added = this.#add(port);
    if (this.#ready.has(port.datapathId)) this.#schedule.begin(added);
  }

  /** It is down, or gone; what it leads to is not known any more, and whoever was heard there is not there. */
  portDown(datapathId: DatapathId, number: number): void {
    const port = this.port(datapathId, number);
    if (port === undefined) return;
    const { neighbour } = port;
    if (neighbour !== undefined && !this.#ready.has(neighbour.datapathId)) {
      this.#awaited.set(port.key, neighbour.datapathId);
      this.#options.memory.putAwaited(port.key, neighbour.datapathId);
    }
    const others = segmentOf(port).filter((member) => member !== port);
    this.#switches.get(datapathId)?.delete(number);
    this.#schedule.end(port);
    for (const { source } of port.hears.values()) source.heardBy.delete(port);
    for (const hearer of port.heardBy) hearer.hears.delete(port.key);
    this.#assign(port, { role: 'unknown', reason: 'down' });
    this.#options.memory.deletePort(datapathId, number);
    this.#anew(others);
  }

  /** The switch holds its entries: its ports are probed, and what it does not hear is not there. */
  ready(datapathId: DatapathId): void {
    this.#ready.add(datapathId);
    for (const port of this.ports(datapathId)) {
      for (const hearing of port.hears.values()) this.#excuse(hearing);
      this.#schedule.begin(port);
    }
    this.#notAwaited(datapathId);
    this.notReturning(datapathId);
  }

  /** A switch that is remembered is back, or is not waited for any more. */
  notReturning(datapathId: DatapathId): void {
    if (!this.#returning.delete(datapathId) || this.#returning.size > 0) return;
    for (const ports of this.#switches.values()) {
      this.#anew([...ports.values()].filter(({ role }) => role === 'unknown'));
    }
  }

  /** The switch has no connection. It forwards on as it was told, so what is known of it stays. */
  away(datapathId: DatapathId): void {
    this.#ready.delete(datapathId);
    for (const port of this.ports(datapathId)) this.#schedule.end(port);
  }

  /** It is no switch of the fabric any more. */
  forget(datapathId: DatapathId): void {
    this.#ready.delete(datapathId);
    for (const { port } of this.ports(datapathId)) this.portDown(datapathId, port);
    this.#switches.delete(datapathId);
    this.#notAwaited(datapathId);
    this.notReturning(datapathId);
  }

  /** A frame of the LLDP EtherType has come in at a port. */
  frame(datapathId: DatapathId, number: number, frame: Uint8Array): void {
    const now = this.#options.clock.now();
    const { counters } = this.probes;
    const probe = this.probes.verify(frame, now);
    if (probe === undefined) return;
    const receiver = this.port(datapathId, number);
    const source = this.port(probe.datapathId, probe.port);
    // Sent before the port went down the last time, or heard at one that is not up: true once, and worth nothing now.
    if (receiver === undefined || source === undefined || probe.sentAt < source.since - CLOCK_ROUNDING) {
      counters.replayed++;
    } else if (receiver === source) {
      counters.reflected++;
    } else if (this.#heard(receiver, source, probe, now)) {
      counters.accepted++;
    } else {
      counters.replayed++;
    }
  }

  close(): void {
    this.#schedule.close();
  }

  /** False: this probe, or a later one, was heard at this port already. */
  #heard(receiver: FabricPort, source: FabricPort, { reach, sentAt }: HeardProbe, now: number): boolean {
    const heard = { sentAt, heardAt: now, round: source.sent[reach] };
    const known = receiver.hears.get(source.key);
    if (known === undefined) {
      for (const other of receiver.hears.values()) other.doubtful = true;
      const none = { neighbour: undefined, segment: undefined };
      const hearing: Hearing = { source, ...none, [reach]: heard, doubtful: false, remembered: false };
      receiver.hears.set(source.key, hearing);
      source.heardBy.add(receiver);
      this.#decide([receiver]);
      // So that the other end need not wait for its turn.
      this.#schedule.answer(receiver);
      return true;
    }
    const last = known[reach];
    if (last !== undefined && sentAt <= last.sentAt) return false;
    // Of a neighbour, only neighbour probes count: linked ports send no others.
    if (reach === 'segment' && known.neighbour !== undefined) return true;
    known[reach] = heard;
    if (reach === 'neighbour') known.segment = undefined;
    const news = last === undefined || known.doubtful;
    known.doubtful = false;
    if (known.remembered) {
      known.remembered = false;
      const linked = receiver.neighbour === source && source.hears.get(receiver.key)?.remembered === false;
      if (linked) this.#options.confirmed(receiver.key);
    }
    if (news) this.#decide([receiver]);
    return true;
  }

  /** Sends what is due from a port; whoever should have heard the ones before and has not, does not hear it any more. */
  #probe(port: FabricPort): number {
    const now = this.#options.clock.now();
    const reaches = port.role === 'link' ? NEIGHBOUR : BOTH;
    const silent: FabricPort[] = [];
    for (const hearer of port.heardBy) {
      const hearing = hearer.hears.get(port.key);
      if (hearing === undefined) continue;
      if (!this.#ready.has(hearer.datapathId)) this.#excuse(hearing);
      else if (reaches.some((reach) => this.#missed(hearing, reach, now))) silent.push(hearer);
    }
    for (const reach of reaches) {
      port.sent[reach]++;
      this.#options.send(port, this.probes.frame(port, reach, now));
    }
    for (const hearer of silent) this.#silent(hearer, port, now);
    return reaches.length;
  }

  #missed({ source, ...hearing }: Hearing, reach: Reach, now: number): boolean {
    const { missedProbes, probeIntervalMs } = this.#options.settings;
    const last = hearing[reach];
    return (
      last !== undefined &&
      source.sent[reach] - last.round >= missedProbes &&
      now - last.heardAt >= missedProbes * probeIntervalMs
    );
  }

  #silent(hearer: FabricPort, source: FabricPort, now: number): void {
    const linked = hearer.neighbour === source;
    hearer.hears.delete(source.key);
    source.heardBy.delete(hearer);
    if (linked) this.#quiet([hearer, source], now + this.#options.settings.silentMs);
    this.#anew([hearer, source]);
  }

  #quiet(ports: readonly FabricPort[], until: number): void {
    const { clock } = this.#options;
    for (const port of ports) port.quietUntil = until;
    clock.after(until - clock.now(), () => {
      this.#decide(ports.filter((port) => this.port(port.datapathId, port.port) === port));
    });
  }

  /** What was not heard meanwhile does not count as missed. */
  #excuse(hearing: Hearing): void {
    for (const reach of BOTH) {
      const last = hearing[reach];
      if (last === undefined) continue;
      last.round = hearing.source.sent[reach];
      last.heardAt = this.#options.clock.now();
    }
  }

  /** Who is there has changed: before one of these is an edge port, its first probes have to go unanswered again. */
  #anew(ports: readonly FabricPort[]): void {
    for (const port of ports) {
      port.settled = false;
      if (this.#ready.has(port.datapathId)) this.#schedule.begin(port);
    }
    this.#decide(ports);
  }

  #notAwaited(datapathId: DatapathId): void {
    for (const [key, awaited] of this.#awaited) {
      if (awaited !== datapathId) continue;
      this.#awaited.delete(key);
      this.#options.memory.deleteAwaited(key);
      const [of = '', number] = key.split('/');
      const port = this.port(of, Number(number));
      if (port !== undefined) this.#anew([port]);
    }
  }

  #decide(ports: readonly FabricPort[]): void {
    const decided = new Set<FabricPort>();
    const circumstances = this.#circumstances();
    for (const port of ports) {
      if (decided.has(port)) continue;
      const segment = segmentOf(port);
      const verdicts = rolesOf(segment, circumstances);
      for (const [index, member] of segment.entries()) {
        decided.add(member);
        const verdict = verdicts[index];
        if (verdict !== undefined) this.#assign(member, verdict);
        this.#remember(member);
      }
    }
  }

  #circumstances(): Circumstances {
    return {
      now: this.#options.clock.now(),
      awaited: ({ key }) => this.#awaited.get(key),
      returning: this.#returning.size > 0,
    };
  }

  #add({ datapathId, port, name, hardwareAddress }: NewPort): FabricPort {
    const key = portKey(datapathId, port);
    const added = new FabricPort(key, datapathId, port, name, hardwareAddress, this.#options.clock.now());
    let ports = this.#switches.get(datapathId);
    if (ports === undefined) this.#switches.set(datapathId, (ports = new Map()));
    ports.set(port, added);
    return added;
  }

  #remember(port: FabricPort): void {
    const { memory, clock } = this.#options;
    const record = recordOf(port, clock.now());
    if (record === undefined) memory.deletePort(port.datapathId, port.port);
    else memory.putPort(record);
  }

  /** To whoever watches; what is only remembered is no news. */
  #tell(event: FabricEvent): void {
    if (!this.#restoring) this.#options.onEvent(event);
  }

  #assign(port: FabricPort, { role, reason, neighbour }: Verdict): void {
    port.reason = reason;
    const before = port.role;
    if (before === role && port.neighbour === neighbour) return;
    const { facts, edge, changed } = this.#options;
    const { key, datapathId, port: number } = port;
    if (port.neighbour !== undefined) this.#unlink(port, port.neighbour);
    if (before !== role) {
      port.role = role;
      if (role === 'unknown') facts.fabricPorts.delete(key);
      else facts.fabricPorts.set(key, { datapathId, port: number, role, up: true });
      if (before === 'edge' || role === 'edge') edge(datapathId, number, role === 'edge');
      this.#tell({ kind: 'port.role', datapathId, port: number, role, reason });
    }
    if (neighbour !== undefined) this.#link(port, neighbour);
    changed();
  }

  /** One direction; the other one is decided in the same breath. */
  #link(port: FabricPort, neighbour: FabricPort): void {
    const { facts } = this.#options;
    const { key, datapathId, port: number } = port;
    port.neighbour = neighbour;
    facts.links.set(key, {
      datapathId,
      port: number,
      toDatapathId: neighbour.datapathId,
      toPort: neighbour.port,
    });
    if (neighbour.neighbour === port) this.#tell({ kind: 'link.up', link: linkOf(port, neighbour) });
  }

  #unlink(port: FabricPort, neighbour: FabricPort): void {
    const { facts } = this.#options;
    if (neighbour.neighbour === port) this.#tell({ kind: 'link.down', link: linkOf(port, neighbour) });
    port.neighbour = undefined;
    facts.links.delete(port.key);
  }
}

function linkOf(a: FabricPort, b: FabricPort): FabricLink {
  const [from, to] = comparePorts(a, b) < 0 ? [a, b] : [b, a];
  const end = ({ datapathId, port }: FabricPort) => ({ datapathId, port });
  return { from: end(from), to: end(to) };
}

const NEIGHBOUR = ['neighbour'] as const;
const BOTH = ['neighbour', 'segment'] as const;
/** Milliseconds by which the time in a probe may differ from that of the clock. */
const CLOCK_ROUNDING = 0.001;
