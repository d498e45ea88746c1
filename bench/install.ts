/**
 * Install of a large table into a real Open vSwitch: Weft's transaction (encode, bundle, commit, barrier) against
 * `ovs-ofctl --bundle add-flows` in the same run, the same entries into the same bridge, alternating.
 */
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SwitchSession } from '../controller/channel/index.js';
import { ChannelListener, TurnEncoder } from '../controller/channel/index.js';
import type { FlowMod } from '../ofproto/index.js';
import { apply, F, FlowModCommand, flowMod, matchOf, output, oxm, TableId } from '../ofproto/index.js';
import { OpenVSwitch } from '../test/support/open-vswitch.js';
import { waitFor } from '../test/support/wait-for.js';
import { compare, inTurn, type Result, timed } from './harness.js';

const DATAPATH_ID = '00000000000000aa';
const TUNNEL_PORT = 65000;

/** "In network n, this MAC is behind that tunnel endpoint", as an entry and as a line for ovs-ofctl. */
function remoteEndpoint(index: number): { modification: FlowMod; line: string } {
  const network = 1 + (index % 100);
  const mac = 0x0202_0000_0000 + index;
  const host = 1 + (index % 1000);
  const vtep = 0xac10_0000 + host;
  const cookie = 0x0100_0000_0000_0000n + BigInt(index);
  const modification = flowMod({
    tableId: 20,
    priority: 100,
    cookie,
    match: matchOf({ reg0: network, eth_dst: mac }),
    instructions: [
      apply(
        { type: 'set_field', oxm: oxm(F.tunnel_id, BigInt(10_000 + network)) },
        { type: 'set_field', oxm: oxm(F.tun_dst, vtep) },
        output(TUNNEL_PORT),
      ),
    ],
  });
  const macText = mac
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:');
  const vtepText = [24, 16, 8, 0].map((shift) => (vtep >>> shift) & 0xff).join('.');
  const line =
    `table=20,priority=100,cookie=0x${cookie.toString(16)},reg0=${network},dl_dst=${macText},` +
    `actions=set_field:${10_000 + network}->tun_id,set_field:${vtepText}->tun_dst,output:${TUNNEL_PORT}`;
  return { modification, line };
}

async function installWithWeft(
  listener: ChannelListener,
  session: SwitchSession,
  modifications: readonly FlowMod[],
): Promise<void> {
  const encoder = new TurnEncoder(listener.numbering);
  const result = await session.transact(encoder.transaction({ chunks: encoder.chunks(modifications) }));
  if (!result.committed) throw new Error(`refused: ${result.errors[0]?.name}`);
}

/** Digest of what the bridge holds, independent of order, and how many entries it is. */
async function contents(ovs: OpenVSwitch): Promise<string> {
  const dump = await ovs.ofctl(['--no-stats', '--no-names', 'dump-flows'], 'br0');
  const lines = dump.split('\n').filter((line) => line.includes('cookie='));
  return `${lines.length} ${createHash('sha256').update(lines.sort().join('\n')).digest('hex')}`;
}

const ENTRIES = 100_000;

export async function run({ rounds = 5 }: { readonly rounds?: number }): Promise<readonly Result[]> {
  const ovs = await OpenVSwitch.start();
  const listener = new ChannelListener({ host: '127.0.0.1', port: 0 });
  try {
    const { port } = await listener.listen();
    await ovs.addBridge('br0', DATAPATH_ID);
    await ovs.setController('br0', port);
    const session = await waitFor('session', () => listener.sessions.get(DATAPATH_ID));
    const pairs = Array.from({ length: ENTRIES }, (_, index) => remoteEndpoint(index));
    const modifications = pairs.map(({ modification }) => modification);
    const file = join(ovs.directory, 'flows.txt');
    await writeFile(file, `${pairs.map(({ line }) => line).join('\n')}\n`);
    const removal = flowMod({ command: FlowModCommand.DELETE, tableId: TableId.ALL });

    let digest: string | undefined;
    const installing = (who: string, work: () => Promise<void>) => async () => {
      const time = await timed(work);
      const now = await contents(ovs);
      if (digest !== undefined && digest !== now)
        throw new Error(`${who} left another table: ${now}, not ${digest}`);
      digest = now;
      await installWithWeft(listener, session, [removal]);
      return time;
    };
    const { weft, ofctl } = await inTurn(rounds, {
      weft: installing('Weft', () => installWithWeft(listener, session, modifications)),
      ofctl: installing('ovs-ofctl', async () => {
        await ovs.ofctl(['--bundle', 'add-flows'], 'br0', file);
      }),
    });
    const name = `install of ${ENTRIES.toLocaleString('en')} entries into Open vSwitch`;
    return [compare(name, 'ms', weft, 'ovs-ofctl --bundle', ofctl, { better: 'lower', target: 1.5 })];
  } finally {
    await listener.close();
    await ovs.stop();
  }
}
