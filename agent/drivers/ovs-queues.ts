/**
 * Queues on the ports by which packets leave the host: the VLAN uplink, and the underlay ports of the bridge that holds the tunnel
 * address. A port has a QoS of type `linux-htb`, that has a queue for each of the host's, and Open vSwitch makes an HTB of it (tc-htb(8)):
 * a class has its guarantee for sure, and what nobody uses goes to those with work, the higher queue first.
 *
 * QoS and queues are rows of their own that nobody collects, so what is replaced is deleted here. Rows of others are never touched.
 */
import { ensureQueueFilters, linkSpeed, type QueueMark } from '../linux/queue-filters.js';
import { findUnderlay } from '../linux/underlay.js';
import * as ovsdb from '../ovsdb/index.js';
import type { HostQueue } from '../../rpc/index.js';
import type { QueueSettings } from './driver.js';
import { Bridge, Interface, Port, QoS, Queue, ROLE_KEY } from './ovs-schema.js';
import { sameValues } from './ovs-rows.js';

const ROLE = 'queues';
const HTB = 'linux-htb';
/** Where everything goes that has no queue; Open vSwitch makes the class, and gives it this number. */
const REST = 0;
const HIGHEST_QUEUE = 7;
/** What the rest has for sure of what is not guaranteed to others, as a part of the rate: no priority starves it. */
const REST_SHARE = 0.05;
/** Of an interface that does not say its speed, kilobits per second: more than it carries does no harm. */
const UNKNOWN_SPEED = 10_000_000;

interface EgressPort {
  readonly uuid: string;
  readonly row: ovsdb.RowOf<typeof Port>;
  /** Interfaces of the kernel. */
  readonly devices: readonly string[];
}

export class OvsQueues {
  constructor(
    private readonly client: ovsdb.OvsdbClient,
    private readonly apply: (operations: readonly ovsdb.Operation[], why: string) => Promise<void>,
  ) {}

  /** Resolves with what works less than wanted. */
  async ensure(settings: QueueSettings): Promise<readonly string[]> {
    const { queues, datapathType } = settings;
    const { ports, problems } = await this.egressPorts(settings);
    const operations: ovsdb.Operation[] = [];
    const ready: EgressPort[] = [];
    for (const port of queues.length === 0 ? [] : ports) {
      if (this.isForeign(port)) {
        problems.push(`port ${port.row.name} has a QoS that is not Weft's: it has no queues of Weft`);
        continue;
      }
      const rate = await rateOf(port, settings, problems);
      operations.push(...this.changesOf(port, rate, queues));
      ready.push(port);
    }
    operations.push(...this.leftovers(ready));
    if (operations.length > 0) await this.apply(operations, 'weft agent: queues');
    if (datapathType !== 'netdev') return problems;
    const marks = marksOf(queues, problems);
    for (const { devices } of ready) for (const device of devices) await ensureQueueFilters(device, marks);
    return problems;
  }

  private async egressPorts({
    uplink,
    vtepIp,
    queues,
  }: QueueSettings): Promise<{ readonly ports: readonly EgressPort[]; readonly problems: string[] }> {
    const ports: EgressPort[] = [];
    const problems: string[] = [];
    if (uplink !== undefined) ports.push(...this.portsNamed([uplink]));
    if (vtepIp !== undefined && queues.length > 0) {
      const name = (await findUnderlay(vtepIp)).interface;
      const bridge = this.client.find(Bridge, (row) => row.name === name)?.row;
      const rows = this.client.rows(Port);
      const names = bridge?.ports.flatMap((uuid) => rows.get(uuid)?.name ?? []) ?? [];
      const underlay = this.portsNamed(names);
      if (underlay.length === 0) {
        problems.push(
          `the tunnel address ${vtepIp} is on ${name}, behind which Open vSwitch has no port to make queues on: tunnels have none`,
        );
      }
      ports.push(...underlay.filter(({ uuid }) => ports.every((port) => port.uuid !== uuid)));
    }
    return { ports, problems };
  }

  /** Those of them with interfaces of the kernel, that lead out of the host. */
  private portsNamed(names: readonly string[]): readonly EgressPort[] {
    const interfaces = this.client.rows(Interface);
    return names.flatMap((name) => {
      const found = this.client.find(Port, (row) => row.name === name);
      const members = found?.row.interfaces.flatMap((uuid) => interfaces.get(uuid) ?? []) ?? [];
      const devices = members.filter(({ type }) => type === '').map((row) => row.name);
      // The interface of a bridge has no type in some databases, and is called after it.
      const isBridge = this.client.find(Bridge, (row) => row.name === name) !== undefined;
      return found === undefined || isBridge || devices.length === 0 ? [] : [{ ...found, devices }];
    });
  }

  private qosOf({ row }: EgressPort) {
    const uuid = row.qos[0];
    const found = uuid === undefined ? undefined : this.client.rows(QoS).get(uuid);
    return uuid === undefined || found === undefined ? undefined : { uuid, row: found };
  }

  private isForeign(port: EgressPort): boolean {
    const qos = this.qosOf(port);
    return qos !== undefined && qos.row.external_ids.get(ROLE_KEY) !== ROLE;
  }

  /** Replaces the QoS of a port where it is another one. Open vSwitch changes the classes in place, for the type stays. */
  private changesOf(
    port: EgressPort,
    rate: number,
    queues: readonly HostQueue[],
  ): readonly ovsdb.Operation[] {
    const other_config = new Map([['max-rate', bits(rate)]]);
    const external_ids = new Map([[ROLE_KEY, ROLE]]);
    const wanted = new Map(
      [REST, ...queues.map(({ queue }) => queue)].map((queue) => [
        queue,
        queueColumns(queue, guaranteeOf(queue, queues, rate)),
      ]),
    );
    const qos = this.qosOf(port);
    const rows = this.client.rows(Queue);
    const have = new Map([...(qos?.row.queues ?? [])].map(([queue, uuid]) => [queue, rows.get(uuid)]));
    const sameQueues =
      have.size === wanted.size &&
      [...wanted].every(([queue, columns]) => {
        const row = have.get(queue);
        return (
          row !== undefined &&
          sameValues({ other_config: row.other_config, external_ids: row.external_ids }, columns)
        );
      });
    if (
      sameQueues &&
      qos?.row.type === HTB &&
      sameValues(
        { other_config: qos.row.other_config, external_ids: qos.row.external_ids },
        { other_config, external_ids },
      )
    )
      return [];
    const label = (what: string): string => `${port.uuid}-${what}`;
    const named = (what: string): string => ovsdb.namedUuid(label(what));
    return [
      ...[...wanted].map(([queue, columns]) => ovsdb.insert(Queue, columns, label(`queue-${queue}`))),
      ovsdb.insert(
        QoS,
        {
          type: HTB,
          other_config,
          external_ids,
          queues: new Map([...wanted.keys()].map((queue) => [queue, named(`queue-${queue}`)])),
        },
        label('qos'),
      ),
      ovsdb.update(Port, port.uuid, { qos: [named('qos')] }),
      ...this.deletions(qos),
    ];
  }

  /** Takes away the QoS of ports that are to have none. */
  private leftovers(wanted: readonly EgressPort[]): readonly ovsdb.Operation[] {
    const kept = new Set(wanted.flatMap(({ row }) => row.qos));
    const holders = [...this.client.rows(Port)];
    return [...this.client.rows(QoS)].flatMap(([uuid, row]) => {
      if (kept.has(uuid) || row.external_ids.get(ROLE_KEY) !== ROLE) return [];
      return [
        ...holders
          .filter(([, port]) => port.qos.includes(uuid))
          .map(([holder]) => ovsdb.update(Port, holder, { qos: [] })),
        ...this.deletions({ uuid, row }),
      ];
    });
  }

  private deletions(
    qos: { readonly uuid: string; readonly row: ovsdb.RowOf<typeof QoS> } | undefined,
  ): readonly ovsdb.Operation[] {
    if (qos === undefined) return [];
    return [
      ovsdb.remove(QoS, qos.uuid),
      ...[...qos.row.queues.values()].map((uuid) => ovsdb.remove(Queue, uuid)),
    ];
  }
}

/** Kilobits per second as the database has rates: bits per second. */
const bits = (kilobits: number): string => `${kilobits}000`;

const sumOf = (queues: readonly HostQueue[]): number =>
  queues.reduce((sum, one) => sum + (one.guaranteedKilobitsPerSecond ?? 0), 0);

/** Kilobits per second that a queue has for sure. */
function guaranteeOf(queue: number, queues: readonly HostQueue[], rate: number): number | undefined {
  const guaranteed = queues.find((one) => one.queue === queue)?.guaranteedKilobitsPerSecond;
  if (guaranteed !== undefined || queue !== REST) return guaranteed;
  const left = Math.floor(Math.min(rate * REST_SHARE, rate - sumOf(queues)));
  return left > 0 ? left : undefined;
}

function queueColumns(queue: number, guaranteed: number | undefined) {
  // HTB serves the lowest number first.
  const other_config = new Map([['priority', `${HIGHEST_QUEUE - queue}`]]);
  if (guaranteed !== undefined) other_config.set('min-rate', bits(guaranteed));
  return { other_config, external_ids: new Map([[ROLE_KEY, ROLE]]) };
}

/** What the uplink carries, kilobits per second. */
async function rateOf(
  { row, devices }: EgressPort,
  { uplinkRate, queues }: QueueSettings,
  problems: string[],
): Promise<number> {
  const speeds = await Promise.all(devices.map(linkSpeed));
  const speed = uplinkRate ?? speeds.reduce<number>((sum, one) => sum + (one ?? 0), 0);
  const rate = speed === 0 ? UNKNOWN_SPEED : speed;
  const guaranteed = sumOf(queues);
  if (speed === 0) {
    problems.push(
      `port ${row.name} does not say its speed: its queues have their guarantees only if the underlay has room; give --uplink-rate`,
    );
  }
  if (guaranteed > rate) {
    problems.push(
      `port ${row.name}: its queues are guaranteed ${guaranteed} kbit/s and it carries ${rate} kbit/s: none is sure of its own`,
    );
  }
  return rate;
}

/** The queue of each mark. A mark of several queues goes into the highest. */
function marksOf(queues: readonly HostQueue[], problems: string[]): readonly QueueMark[] {
  const queueOf = new Map<number, number>();
  for (const { queue, marks } of [...queues].sort((a, b) => a.queue - b.queue)) {
    if (marks.length === 0 && queue !== REST) {
      problems.push(
        `queue ${queue} has no packets: the userspace datapath chooses queues by mark, and its profiles have no dscp`,
      );
    }
    for (const mark of marks) {
      const other = queueOf.get(mark);
      if (other !== undefined) {
        problems.push(
          `mark ${mark} is of queues ${other} and ${queue}, and the userspace datapath takes the higher one`,
        );
      }
      queueOf.set(mark, queue);
    }
  }
  return [...queueOf].filter(([, queue]) => queue !== REST).map(([mark, queue]) => ({ mark, queue }));
}
