/**
 * A switch of 100,000 entries brought into line: a DatapathController with the real apps and a real Open vSwitch. Empty, it is
 * read and sent everything, against `ovs-ofctl --bundle add-flows` of the same entries; already right, it is read, compared and sent
 * nothing, against `ovs-ofctl diff-flows`, which does the same. What is desired has been derived before, as in a controller
 * that runs while a switch restarts.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { apps, pipeline } from '../apps/index.js';
import { ChannelListener } from '../controller/channel/index.js';
import { DatapathController } from '../controller/datapath/controller.js';
import { TUNNEL_INTERFACE, TUNNEL_PORT } from '../controller/model/facts.js';
import { OpenVSwitch } from '../test/support/open-vswitch.js';
import { waitFor } from '../test/support/wait-for.js';
import { compare, inTurn, type Result, timed } from './harness.js';

const DATAPATH_ID = '00000000000000ab';
const HOSTS = 500;
const NETWORKS = 20;
const ENDPOINTS = 30_000;
const SYNC_TIMEOUT_MS = 120_000;

/** The switch is the first host's; every network has endpoints on it and on all others. */
function populate({ facts }: DatapathController): void {
  facts.tenants.set('acme', { name: 'acme', number: 1 });
  for (let number = 1; number <= HOSTS; number++) {
    const name = `h${number}`;
    const datapathId = number === 1 ? DATAPATH_ID : (0x1000 + number).toString(16).padStart(16, '0');
    const vtepIpv4 = 0xac10_0000 + number;
    facts.hosts.set(name, { name, number, datapathId, vtepIpv4, tunnelPort: TUNNEL_INTERFACE });
  }
  const port = { datapathId: DATAPATH_ID, name: TUNNEL_INTERFACE, number: TUNNEL_PORT, up: true };
  facts.ports.set(`${DATAPATH_ID}/${TUNNEL_INTERFACE}`, port);
  for (let number = 1; number <= NETWORKS; number++) {
    const id = `acme/n${number}`;
    const ipv4 = { address: 0x0a00_0000, prefixLength: 8 };
    const kind = { encapsulation: 'vxlan', tag: 10_000 + number, uplinkHandOff: false } as const;
    facts.networks.set(id, { id, tenant: 'acme', name: `n${number}`, number, ipv4, ...kind });
  }
  for (let number = 1; number <= ENDPOINTS; number++) {
    const network = `acme/n${1 + (number % NETWORKS)}`;
    const host = number <= NETWORKS ? 'h1' : `h${2 + (number % (HOSTS - 1))}`;
    const name = `e${number}`;
    const address = 0x0a00_0000 + number;
    const place = { host, interface: `v${number}`, generation: 1 };
    const addresses = { mac: 0x0202_0000_0000 + address, ipv4: [address], ipv6: [] };
    facts.endpoints.set(`${network}/${name}`, {
      id: `${network}/${name}`,
      network,
      name,
      number,
      ...addresses,
      ...place,
    });
    if (host !== 'h1') continue;
    const own = { datapathId: DATAPATH_ID, name: place.interface, number, up: true };
    facts.ports.set(`${DATAPATH_ID}/${own.name}`, own);
  }
}

export async function run({ rounds = 3 }: { readonly rounds?: number }): Promise<readonly Result[]> {
  const ovs = await OpenVSwitch.start();
  const listener = new ChannelListener({ host: '127.0.0.1', port: 0 });
  const { numbering } = listener;
  const datapaths = new DatapathController({ pipeline, apps, numbering, auditIntervalMs: 0 });
  try {
    populate(datapaths);
    datapaths.settle();
    const { port } = await listener.listen();
    await ovs.addBridge('br0', DATAPATH_ID);
    await ovs.setController('br0', port);
    const session = await waitFor('session', () => listener.sessions.get(DATAPATH_ID));
    const { counters } = datapaths;
    /** Brings the switch into line as when it has just connected; gives the number of entries sent. */
    const resync = async (): Promise<number> => {
      const before = counters.entriesSent;
      datapaths.addSession(session);
      await datapaths.waitForSync(DATAPATH_ID, { signal: AbortSignal.timeout(SYNC_TIMEOUT_MS) });
      const { state, refused } = datapaths.statusOf(DATAPATH_ID) ?? {};
      if (state !== 'in-sync') throw new Error(`the switch is ${state}: ${JSON.stringify(refused?.[0])}`);
      datapaths.removeSession(session);
      return counters.entriesSent - before;
    };
    const desired = [...datapaths.desired(DATAPATH_ID)].length;
    const sentAll = async (): Promise<void> => {
      const sent = await resync();
      if (sent !== desired) throw new Error(`${sent} entries were sent to an empty switch, not ${desired}`);
    };
    const sentNothing = async (): Promise<void> => {
      const sent = await resync();
      if (sent !== 0) throw new Error(`${sent} entries were sent to a switch that had them all`);
    };
    const empty = async (): Promise<void> => {
      await ovs.ofctl(['del-flows'], 'br0');
      await ovs.ofctl(['del-groups'], 'br0');
    };

    await sentAll();
    const dump = async (what: string, file: string): Promise<number> => {
      const text = await ovs.ofctl(['--no-stats', '--no-names', what], 'br0');
      const lines = text.split('\n').filter((line) => /actions=|group_id=/.test(line));
      await writeFile(file, `${lines.join('\n')}\n`);
      return lines.length;
    };
    const [flowsFile, groupsFile] = [join(ovs.directory, 'flows'), join(ovs.directory, 'groups')];
    const flows = await dump('dump-flows', flowsFile);
    await dump('dump-groups', groupsFile);

    const times = await inTurn(rounds, {
      empty: async () => {
        await empty();
        await ovs.ofctl(['del-meters'], 'br0');
        return await timed(sentAll);
      },
      right: () => timed(sentNothing),
      add: async () => {
        await empty();
        await ovs.ofctl(['add-groups'], 'br0', groupsFile);
        return timed(() => ovs.ofctl(['--bundle', 'add-flows'], 'br0', flowsFile));
      },
      diff: () => timed(() => ovs.ofctl(['diff-flows'], 'br0', flowsFile)),
    });
    const count = flows.toLocaleString('en');
    const better = 'lower';
    return [
      compare(
        `resync of an empty switch, ${count} flow entries`,
        'ms',
        times.empty,
        'ovs-ofctl --bundle',
        times.add,
        {
          better,
          target: 1.5,
        },
      ),
      compare(
        'resync of a switch that is right, nothing sent',
        'ms',
        times.right,
        'ovs-ofctl diff-flows',
        times.diff,
        { better },
      ),
    ];
  } finally {
    datapaths.close();
    await listener.close();
    await ovs.stop();
  }
}
