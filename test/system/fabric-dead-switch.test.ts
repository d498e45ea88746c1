/** A switch that dies without any of its ports going down: its session ends, and that has to be enough. */
import t from 'tap';
import { until } from '../../topologies/lab/index.js';
import { addressOf, FabricLab } from './fabric-support.js';

t.setTimeout(300_000);

const PING_INTERVAL_MS = 10;

t.test('a switch on the way dies, and comes back', async (t) => {
  const links = [
    [1, 2],
    [2, 3],
    [3, 4],
    [4, 1],
  ] as const;
  const fabric = await FabricLab.start({ name: 'dead', switches: 4, links, apart: true });
  t.teardown(() => fabric.stop());
  const { received } = await fabric.station(1).ping(addressOf(3), { count: 3, timeoutMs: 3_000 });
  t.equal(received, 3);
  const hop = await fabric.nextHop(1, 3);

  const ping = fabric
    .station(1)
    .ping(addressOf(3), { count: 400, intervalMs: PING_INTERVAL_MS, timeoutMs: 2_000 });
  await fabric.delivered(3);
  await fabric.host(hop).stopOvs('SIGKILL');
  const result = await ping;
  const lost = result.sent - result.received;
  t.comment(`switch ${hop} dead: ${lost} of ${result.sent} lost, ${lost * PING_INTERVAL_MS} ms`);
  // Below a second on a quiet machine: probes would need three.
  t.ok(lost < 250, `${lost} lost`);
  t.equal((await fabric.station(1).ping(addressOf(3), { count: 5, timeoutMs: 2_000 })).received, 5);

  await fabric.host(hop).startOvs();
  await until('all links', () => fabric.ports('link') === 2 * links.length, 60_000);
  await fabric.inSync();
  for (const to of [2, 3, 4]) {
    const again = await fabric.station(1).ping(addressOf(to), { count: 3, timeoutMs: 3_000 });
    t.ok(again.received >= 1, `1 to ${to}`);
  }
});
