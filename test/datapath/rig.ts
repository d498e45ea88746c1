/** An app with every kind of entry, and a controller on a real channel, for emulated switches. */
import { ChannelListener, Numbering } from '../../controller/channel/index.js';
import type { App } from '../../controller/datapath/app.js';
import { DatapathController, type DatapathControllerOptions } from '../../controller/datapath/controller.js';
import { definePipeline } from '../../controller/datapath/pipeline.js';
import type { DatapathEvent } from '../../controller/datapath/status.js';
import { type Action, F, Group, GroupType, MeterFlag, matchOf, Port } from '../../ofproto/index.js';
import { EmulatedSwitch, type EmulatedSwitchOptions } from '../../topologies/emulated/index.js';
import { datapathId } from '../apps/facts.js';

const pipeline = definePipeline([
  {
    name: 'classify',
    stage: 'classify',
    description: 'Ports.',
    match: [F.in_port],
    goto: ['forward'],
    miss: 'drop',
  },
  { name: 'forward', stage: 'forward', description: 'Addresses.', match: [F.eth_dst], miss: 'drop' },
]);
export const { classify, forward } = pipeline.tables;
const output = (port: number): Action => ({ type: 'output', port, maxLen: 0 });
const BROADCAST = 0xffff_ffff_ffff;

/**
 * In the scope of a network: a meter, a group with one bucket for each endpoint, a broadcast flow through both, and a flow for each
 * endpoint. A switch is in that scope while an endpoint of the network lives there. In the host's own: a flow for each port.
 */
export const app: App = {
  name: 'example',
  id: 7,
  declare({ facts, entries }) {
    entries('networks', facts.networks, (context, { id, number, tag }) => {
      const scope = `network:${number}` as const;
      const buckets = context.keys(facts.endpointsByNetwork, id).map((key) => {
        const port = context.get(facts.endpoints, key)?.number ?? 0;
        return { weight: 0, watchPort: Port.ANY, watchGroup: Group.ANY, actions: [output(port)] };
      });
      const bands = [{ type: 'drop', rate: tag, burstSize: 0 }] as const;
      context.meter(scope, { id: number, flags: MeterFlag.KBPS, bands });
      context.group(scope, { id: number, groupType: GroupType.ALL, buckets });
      context.flow(scope, {
        table: forward,
        priority: 10,
        match: matchOf({ eth_dst: BROADCAST }),
        meter: number,
        apply: [{ type: 'group', groupId: number }],
        object: number,
      });
    });
    entries('endpoints', facts.endpoints, (context, { network: id, host: name, mac, number, generation }) => {
      const network = context.get(facts.networks, id);
      if (network === undefined) return;
      const scope = `network:${network.number}` as const;
      context.flow(scope, {
        table: forward,
        priority: 20,
        match: matchOf({ eth_dst: mac }),
        apply: [output(generation)],
        object: number,
      });
      const host = name === undefined ? undefined : context.get(facts.hosts, name);
      if (host?.datapathId !== undefined) context.subscribe(host.datapathId, scope);
    });
    entries('ports', facts.ports, (context, { host, number }) => {
      context.flow(`host:${host}`, {
        table: classify,
        priority: 5,
        match: matchOf({ in_port: number }),
        goto: forward,
      });
    });
  },
};

/** Callbacks that wait for the test to say that their time has come. */
export class TestTimer {
  readonly pending = new Map<() => void, number>();

  readonly after = (milliseconds: number, callback: () => void): (() => void) => {
    this.pending.set(callback, milliseconds);
    return () => void this.pending.delete(callback);
  };

  /** How many wait for so many milliseconds. */
  waiting(milliseconds: number): number {
    return [...this.pending.values()].filter((time) => time === milliseconds).length;
  }

  /** Runs everything that waits, or what waits for so many milliseconds. */
  fire(milliseconds?: number): void {
    const due = [...this.pending].filter(([, time]) => milliseconds === undefined || time === milliseconds);
    for (const [callback] of due) {
      this.pending.delete(callback);
      callback();
    }
  }
}

/** A channel on a free port and a datapath controller behind it. */
export class Rig {
  readonly timer = new TestTimer();
  readonly numbering = new Numbering();
  readonly channel: ChannelListener;
  readonly controller: DatapathController;
  readonly events: DatapathEvent[] = [];
  readonly #switches: EmulatedSwitch[] = [];
  #port = 0;

  constructor(options: Partial<DatapathControllerOptions> = {}) {
    const { numbering, timer } = this;
    this.channel = new ChannelListener({ host: '127.0.0.1', port: 0, numbering });
    this.controller = new DatapathController({
      pipeline,
      apps: [app],
      numbering,
      timer: timer.after,
      ...options,
    });
    this.controller.onEvent((event) => void this.events.push(event));
    this.channel.onUp((session) => this.controller.addSession(session));
    this.channel.onDown((session) => this.controller.removeSession(session));
  }

  async listen(): Promise<{ host: string; port: number }> {
    this.#port = (await this.channel.listen()).port;
    return this.address;
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.#port };
  }

  async connect(number: number, options: Partial<EmulatedSwitchOptions> = {}): Promise<EmulatedSwitch> {
    const emulated = await EmulatedSwitch.connect({
      controller: this.address,
      datapathId: datapathId(number),
      ...options,
    });
    this.#switches.push(emulated);
    return emulated;
  }

  /** Resolves when the switches hold, or refuse, all that is desired of them. */
  async synced(...numbers: number[]): Promise<void> {
    const signal = AbortSignal.timeout(60_000);
    await Promise.all(numbers.map((number) => this.controller.waitForSync(datapathId(number), { signal })));
  }

  eventsOf<K extends DatapathEvent['kind']>(kind: K): Extract<DatapathEvent, { kind: K }>[] {
    return this.events.filter((event): event is Extract<DatapathEvent, { kind: K }> => event.kind === kind);
  }

  async stop(): Promise<void> {
    for (const emulated of this.#switches) await emulated.stop();
    this.controller.close();
    await this.channel.close();
  }
}

/** Modifications a switch has been sent. */
export const modifications = ({ counters }: EmulatedSwitch): number =>
  counters.flowMods + counters.groupMods + counters.meterMods;
