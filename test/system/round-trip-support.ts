/** Desired tables sent to bridges of a real Open vSwitch and read back. */
import type { Test } from 'tap';
import { ChannelListener, Numbering, type SwitchSession } from '../../controller/channel/index.js';
import { flowKey } from '../../controller/datapath/canonical.js';
import { compare } from '../../controller/datapath/compare.js';
import { ModificationList } from '../../controller/datapath/modifications.js';
import { readFlows, readGroupsAndMeters } from '../../controller/datapath/read.js';
import type { ScopeTables } from '../../controller/datapath/scopes.js';
import { PartEncoder } from '../../controller/datapath/turn-batch.js';
import { OpenVSwitch } from '../support/open-vswitch.js';
import { waitFor } from '../support/wait-for.js';

export class RoundTrips {
  private constructor(
    private readonly ovs: OpenVSwitch,
    private readonly listener: ChannelListener,
    private readonly numbering: Numbering,
    private readonly port: number,
  ) {}

  static async start(): Promise<RoundTrips> {
    const numbering = new Numbering();
    const listener = new ChannelListener({ host: '127.0.0.1', port: 0, numbering });
    const { port } = await listener.listen();
    return new RoundTrips(await OpenVSwitch.start(), listener, numbering, port);
  }

  async stop(): Promise<void> {
    await this.listener.close();
    await this.ovs.stop();
  }

  async connectedBridge(name: string, id: string): Promise<SwitchSession> {
    await this.ovs.addBridge(name, id);
    await this.ovs.setController(name, this.port);
    return waitFor(`session of ${name}`, () => this.listener.sessions.get(id));
  }

  async removeBridge(name: string, id: string): Promise<void> {
    await this.ovs.vsctl('del-br', name);
    await waitFor(`end of ${name}`, () => (this.listener.sessions.has(id) ? undefined : true));
  }

  /** Installs the desired table and returns the comparison with what the switch gives back. */
  async roundTrip(t: Test, session: SwitchSession, scopes: ScopeTables, id: string) {
    const list = new ModificationList();
    for (const after of scopes.effectiveEntries(id)) list.add({ key: after.key, before: undefined, after });
    const encoder = new PartEncoder(this.numbering);
    const result = await session.transact(encoder.transaction([encoder.encode(list)]));
    const json = (value: unknown) =>
      JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? `${member}` : member));
    t.strictSame(
      result.errors.map(({ name, modification }) => `${name} ${json(modification)}`),
      [],
    );
    t.equal(result.committed, true);
    const actual = {
      flows: await readFlows(session, 10_000),
      ...(await readGroupsAndMeters(session, 10_000)),
    };
    const comparison = await compare(actual, id, scopes, () => false);
    const held = new Map(
      actual.flows.map((flow) => [flowKey(flow.tableId, flow.priority, flow.match), flow]),
    );
    for (const { entry } of comparison.examples) {
      const key = entry.kind === 'flow' ? flowKey(entry.table, entry.priority, entry.match) : '';
      t.comment('differs', json({ entry, held: held.get(key) ?? actual.groups }));
    }
    t.strictSame(comparison.difference, { missing: 0, extra: 0, changed: 0, foreign: 0 });
    return comparison;
  }
}
