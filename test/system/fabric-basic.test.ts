/** A fabric with loops on real Open vSwitch: nothing storms, everybody reaches everybody, links may fail, the controller may go. */
import t, { type Test } from 'tap';
import { type Capture, until } from '../../topologies/lab/index.js';
import { BROADCAST, holds, udpFrame } from '../support/frames.js';
import { addressOf, FabricLab, linkName, macOf } from './fabric-support.js';

t.setTimeout(300_000);

/** A ring of four with a chord: two ways of equal cost between 2 and 4, an alternate for each link but none for all pairs. */
const LINKS = [
  [1, 2],
  [2, 3],
  [3, 4],
  [4, 1],
  [1, 3],
] as const;
const SWITCHES = 4;
const FRAMES = 50;
const BURST = 10;
const PING_INTERVAL_MS = 10;

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

const pairs = Array.from({ length: SWITCHES }, (_, a) =>
  Array.from({ length: SWITCHES }, (__, b) => [a + 1, b + 1] as const).filter(([x, y]) => x !== y),
).flat();

t.test('a fabric of four switches with loops', async (t) => {
  const fabric = await FabricLab.start({
    name: 'fabric',
    switches: SWITCHES,
    links: LINKS,
    settings: 'openflow: {auditIntervalMs: 1000}\n',
  });
  t.teardown(() => fabric.stop());
  const { controller } = fabric.running;

  await t.test('everybody reaches everybody', async (t) => {
    for (const [from, to] of pairs) {
      const { received, output } = await fabric
        .station(from)
        .ping(addressOf(to), { count: 2, timeoutMs: 3_000 });
      t.equal(received, 2, `${from} to ${to}: ${output.split('\n').at(-3) ?? ''}`);
    }
  });

  await t.test('a broadcast travels each link of a tree once, and reaches each station once', (t) =>
    floodsOnce(t, fabric, 'before'),
  );

  await t.test('so does one with a tag, which it keeps, on the tree of its VLAN', async (t) => {
    for (const vlan of [5, 6]) await floodsOnce(t, fabric, `vlan ${vlan}`, [vlan]);
  });

  await t.test('switches give entries back as they were asked for', async (t) => {
    const since = Date.now();
    await until(
      'an audit of each switch',
      () => controller.status().datapaths.every(({ lastAudit = 0 }) => lastAudit > since),
      60_000,
    );
    const none = { missing: 0, extra: 0, changed: 0, foreign: 0 };
    for (const { datapathId, healed, refused, problems } of controller.status().datapaths) {
      t.same(
        { datapathId, healed, refused, problems },
        { datapathId, healed: none, refused: [], problems: [] },
      );
    }
  });

  await t.test('a link that fails is left', async (t) => {
    for (const [from, to, way] of [
      [1, 2, 'an alternate'],
      [2, 4, 'the other one of two equal ways'],
    ] as const) {
      const count = 300;
      const [a, b] = [from, from === 1 ? 2 : await fabric.nextHop(from, to)] as const;
      const ping = fabric
        .station(from)
        .ping(addressOf(to), { count, intervalMs: PING_INTERVAL_MS, timeoutMs: 2_000 });
      await fabric.delivered(to);
      await fabric.host(a).ip(`link set ${linkName(a, b)} down`);
      const { received, sent } = await ping;
      t.comment(`${way}: ${sent - received} of ${sent} lost, ${(sent - received) * PING_INTERVAL_MS} ms`);
      // 100 ms on a quiet machine; this one may be busy with anything.
      t.ok(received > 0 && sent - received < 100, `${sent - received} lost`);
      await until('the ports to be noticed', () => fabric.ports('link') === 2 * LINKS.length - 2, 30_000);
      await floodsOnce(t, fabric, `without ${a}-${b}`);
      await fabric.host(a).ip(`link set ${linkName(a, b)} up`);
      await fabric.found(2 * LINKS.length, SWITCHES);
    }
  });

  await t.test('known pairs need no controller, nor does the way around a link that fails', async (t) => {
    await fabric.running.stop();
    const reach = async (from: number, to: number): Promise<void> => {
      const { received } = await fabric.station(from).ping(addressOf(to), { count: 1, timeoutMs: 3_000 });
      t.equal(received, 1, `${from} to ${to}`);
    };
    for (const [from, to] of pairs) await reach(from, to);
    await fabric.host(1).ip(`link set ${linkName(1, 2)} down`);
    await reach(1, 2);
    await reach(2, 1);
    await fabric.host(1).ip(`link set ${linkName(1, 2)} up`);
  });

  await t.test('a controller that starts again finds everything out anew', async (t) => {
    const count = 600;
    const ping = fabric
      .station(1)
      .ping(addressOf(3), { count, intervalMs: PING_INTERVAL_MS, timeoutMs: 2_000 });
    await fabric.delivered(3);
    await fabric.restart();
    const { received, sent } = await ping;
    t.comment(`restart of the controller: ${sent - received} of ${sent} lost`);
    t.ok(sent - received < sent, 'it goes on');
    for (const [from, to] of pairs) {
      const { received } = await fabric.station(from).ping(addressOf(to), { count: 2, timeoutMs: 3_000 });
      t.equal(received, 2, `${from} to ${to}`);
    }
  });
});

/** Frames of one station to all, counted everywhere. Waits until the tree spans. */
async function floodsOnce(
  t: Test,
  fabric: FabricLab,
  text: string,
  tags: readonly number[] = [],
): Promise<void> {
  const addresses = { source: macOf(1), destination: BROADCAST };
  const frame = (what: string): Uint8Array =>
    udpFrame(addresses, { sourceIp: 0x0a090001, destinationIp: 0xffffffff, text: what }, tags);
  const others = fabric.stations.slice(1);
  const filter = tags.length === 0 ? 'udp and ether broadcast' : `vlan ${tags[0]} and ether broadcast`;
  const captures = new Map<string, Capture>();
  for (const station of others) captures.set(station.name, await station.capture(station.interface, filter));
  for (const [a, b] of fabric.links) {
    const down = (await fabric.host(a).exec(['ip', '-br', 'link', 'show', linkName(a, b)])).includes('DOWN');
    if (!down) captures.set(linkName(a, b), await fabric.host(a).capture(linkName(a, b), filter));
  }
  const seen = (place: string, what: string): number =>
    captures
      .get(place)
      ?.frames()
      .filter(({ bytes }) => holds(bytes, what)).length ?? 0;
  let probe = 0;
  await until(
    'the tree to span',
    async () => {
      const mark = `probe ${text} ${++probe}.`;
      await fabric.station(1).send('eth0', [frame(mark)]);
      return others.every(({ name }) => seen(name, mark) > 0);
    },
    30_000,
  );
  const mark = `marked ${text}.`;
  const onLinks = (what: string): number[] => fabric.links.map(([a, b]) => seen(linkName(a, b), what));
  // In small bursts, and only the next when nothing of the one before is on its way: a busy machine drops frames of its own accord.
  for (let sent = BURST; sent <= FRAMES; sent += BURST) {
    await fabric.station(1).send(
      'eth0',
      Array.from({ length: BURST }, () => frame(mark)),
    );
    const last = `last ${text} ${sent}.`;
    await fabric.station(1).send('eth0', [frame(last)]);
    await until(
      'the frames',
      () => others.every(({ name }) => seen(name, last) > 0) && sum(onLinks(last)) >= SWITCHES - 1,
      30_000,
    );
  }
  for (const { name } of others) t.equal(seen(name, mark), FRAMES, `${name} has had each once`);
  const counts = onLinks(mark);
  t.ok(
    counts.every((count) => count === 0 || count === FRAMES),
    `${text}: copies on each link: ${counts.join(', ')}`,
  );
  t.equal(sum(counts), FRAMES * (SWITCHES - 1), 'one copy on each link of a tree');
  for (const capture of captures.values()) await capture.stop();
}
