/** Membership with switches that are lists of what was sent to them, and a clock moved by hand. */
import { encodeMembershipPunt } from '../../apps/multicast/punt.js';
import { apps, pipeline } from '../../apps/index.js';
import { R } from '../../apps/pipeline.js';
import { silentLogger } from '../../controller/channel/logger.js';
import { DesiredTables } from '../../controller/datapath/desired.js';
import type { EndpointFact, FactChange, NetworkFact } from '../../controller/model/facts.js';
import { UPLINK_PORT } from '../../controller/model/facts.js';
import { type GroupRecord, groupText } from '../../controller/multicast/messages.js';
import { Journal } from '../../controller/journal/journal.js';
import { Membership, type MembershipSwitch } from '../../controller/multicast/membership.js';
import { parseMembership } from '../../controller/multicast/parse.js';
import { addressText } from '../../controller/multicast/records.js';
import { F, type Message, oxm } from '../../ofproto/index.js';
import { datapathId, hostName } from '../apps/facts.js';
import { MemoryStore } from '../model/memory-store.js';

interface Sent {
  readonly host: string;
  /** Ports, the uplink as `uplink <VLAN>`. */
  readonly to: readonly string[];
  readonly frame: Uint8Array;
}

export class Rig {
  readonly desired = new DesiredTables({ pipeline, apps });
  readonly sent: Sent[] = [];
  readonly store: MemoryStore;
  readonly sessions = new Map<string, MembershipSwitch>();
  service!: Membership;
  journal!: Journal;
  now = 1_000_000;
  scheduled = 0;
  /** Keys of facts as they were told of. */
  told: string[] = [];
  warnings: { event: string; limit?: string; endpoint?: string }[] = [];
  readonly #up = new Set<(session: never) => void>();
  readonly #facts: FactChange[] = [];

  private constructor(store: MemoryStore) {
    this.store = store;
  }

  /** @param facts of the model at the start */
  static async start(facts: readonly FactChange[] = [], store = new MemoryStore()): Promise<Rig> {
    const rig = new Rig(store);
    const logger = {
      ...silentLogger,
      warn: (record: Rig['warnings'][number]) => void rig.warnings.push(record),
    } as never;
    rig.journal = await Journal.open(store, { folder: 'multicast', what: 'tests', logger, delayMs: 1 });
    const listen = (listeners: Set<(session: never) => void>) => (listener: (session: never) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    };
    rig.service = new Membership({
      journal: rig.journal,
      channel: {
        sessions: rig.sessions,
        onPacketIn: () => () => undefined,
        onUp: listen(rig.#up) as never,
      },
      facts: rig.desired.facts,
      schedule: () => void rig.scheduled++,
      changed: (change) => void rig.told.push(change.key),
      logger,
      now: () => rig.now,
    });
    rig.change(facts);
    return rig;
  }

  /** What a process that is started after this one was killed would find. */
  async restart(facts: readonly FactChange[] = this.#facts): Promise<Rig> {
    await this.journal.flush();
    return await Rig.start(facts, this.store.copy());
  }

  async close(): Promise<void> {
    this.service.close();
    await this.journal.close();
  }

  change(changes: readonly FactChange[]): void {
    this.#facts.push(...changes);
    for (const { kind, key, value } of changes) {
      if (kind === 'network') {
        if (value === undefined) this.desired.facts.networks.delete(key);
        else this.desired.facts.networks.set(key, value);
      }
    }
    this.service.facts(changes);
  }

  connect(host: number, ports: Readonly<Record<number, string>>): void {
    const session: MembershipSwitch = {
      datapathId: datapathId(host),
      open: true,
      xid: () => 1,
      ports: new Map(Object.entries(ports).map(([number, name]) => [Number(number), { name } as never])),
      send: (message: Message) => {
        if (message.type === 'packet_out') this.sent.push(sentOf(hostName(host), message));
        return true;
      },
    };
    for (const [number, name] of Object.entries(ports)) {
      const fact = { datapathId: session.datapathId, name, number: Number(number), up: true };
      this.desired.facts.ports.set(`${session.datapathId}/${name}`, fact);
    }
    this.desired.settle();
    this.sessions.set(session.datapathId, session);
    for (const listener of this.#up) listener(session as never);
  }

  /** A frame that came in by a port (absent: the uplink) and was punted. */
  punt(host: number, network: number, frame: Uint8Array, port = UPLINK_PORT): void {
    this.service.packetIn(
      { datapathId: datapathId(host), ports: this.sessions.get(datapathId(host))?.ports ?? new Map() },
      {
        type: 'nx_packet_in2',
        xid: 0,
        userdata: encodeMembershipPunt(port === UPLINK_PORT ? 'uplink' : 'endpoint'),
        packet: frame,
        metadata: [oxm(F.in_port, port), R.network.match(network)],
      } as never,
    );
  }

  /** Moves the clock in steps of the service's own timer. */
  wait(ms: number): void {
    const until = this.now + ms;
    while (this.now < until) {
      this.now = Math.min(this.now + 100, until);
      this.service.tick();
    }
  }

  /** Facts as text: `<key>` and what of the sources. */
  receivers(): string[] {
    this.desired.settle();
    return [...this.desired.facts.multicastReceivers.entries()]
      .map(
        ([key, { sources }]) =>
          `${key}${sources === undefined ? '' : ` ${sources.mode} ${[...sources.addresses].map(addressText)}`}`,
      )
      .sort();
  }

  routers(): string[] {
    this.desired.settle();
    return [...this.desired.facts.multicastRouters.entries()].map(([key]) => key).sort();
  }

  /** Takes out what was sent, in words: `h1 1,2 IGMPv3 general`. */
  taken(): string[] {
    return this.sent.splice(0).map(({ host, to, frame }) => {
      const message = parseMembership(frame);
      if (message.kind !== 'query') return `${host} ${to} ${message.kind}`;
      const version = `${message.family === 4 ? 'IGMP' : 'MLD'}v${message.version}`;
      return `${host} ${to} ${version} ${message.group === undefined ? 'general' : groupText(message.group)}`;
    });
  }

  metric(name: string, label?: string): number {
    const family = this.service.metrics().find((one) => one.name === name);
    const sample = family?.samples.find(
      ({ labels = {} }) => label === undefined || Object.values(labels).includes(label),
    );
    return sample?.value ?? 0;
  }
}

function sentOf(host: string, message: Message & { readonly type: 'packet_out' }): Sent {
  let vlan = 0;
  const to: string[] = [];
  for (const action of message.actions) {
    if (action.type === 'set_field' && action.oxm.field === F.vlan_vid)
      vlan = Number(action.oxm.value) & 0xfff;
    if (action.type === 'output')
      to.push(action.port === UPLINK_PORT ? `uplink ${vlan}` : String(action.port));
  }
  return { host, to, frame: message.data };
}

export function network(
  id: string,
  number: number,
  encapsulation: 'vlan' | 'vxlan',
  more: object = {},
): FactChange {
  const [tenant = '', name = ''] = id.split('/');
  const uplinkHandOff = encapsulation === 'vlan';
  const value: NetworkFact = { id, tenant, name, number, encapsulation, tag: number, uplinkHandOff, ...more };
  return { kind: 'network', key: id, value };
}

export function host(number: number): FactChange {
  const name = hostName(number);
  const value = { name, number, datapathId: datapathId(number), uplink: 'uplink', tunnelPort: 'weft-vxlan' };
  return { kind: 'host', key: name, value };
}

/** An endpoint of a number, attached to port `v<number>` of a host. */
export function endpoint(
  network: string,
  number: number,
  on: number | undefined,
  generation = 1,
): FactChange {
  const key = `${network}/e${number}`;
  const value: EndpointFact = {
    id: key,
    network,
    name: `e${number}`,
    number,
    mac: 0x020000000000 + number,
    ipv4: [0x0a000000 + number],
    ipv6: [],
    generation,
    ...(on === undefined ? {} : { host: hostName(on), interface: `v${number}` }),
  };
  return { kind: 'endpoint', key, value };
}

export const gone = (kind: 'endpoint' | 'network', key: string): FactChange => ({ kind, key });

export function record(
  type: GroupRecord['type'],
  group: GroupRecord['group'],
  ...sources: number[]
): GroupRecord {
  return { type, group, sources };
}
