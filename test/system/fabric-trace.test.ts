/** `weft trace` through a fabric of real bridges agrees with `ofproto/trace`, bridge by bridge and from end to end. */
import { join } from 'node:path';
import t from 'tap';
import { SwitchControl } from '../../agent/connections/control.js';
import type { FabricTraceLeg, FabricTraceReport } from '../../controller/trace/index.js';
import { fabricPipeline } from '../../apps/fabric/index.js';
import { readOfprotoTrace } from '../support/ofproto-trace.js';
import { until } from '../../topologies/lab/index.js';
import { BROADCAST, udpFrame } from '../support/frames.js';
import { addressOf, datapathIdOf, FabricLab, macOf } from './fabric-support.js';

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
const VLANS = [0, 5, 6] as const;
const FRAMES = 150;
const NO_TUNNEL = -1;

const fabric = await FabricLab.start({ name: 'fabtrace', switches: SWITCHES, links: LINKS });
t.teardown(() => fabric.stop());
const control = await SwitchControl.connect(join(fabric.host(1).runDirectory, 'ovs-vswitchd.ctl'));
t.teardown(() => control.close());
const { controller } = fabric.running;

const mac = (number: number): string =>
  number
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:');
const numberOf = (datapathId: string): number => Number(`0x${datapathId}`) - Number(`0x${datapathIdOf(0)}`);

/** The same frames each time (mulberry32). */
let seed = 0xfab;
function below(limit: number): number {
  seed = (seed + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
}
const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;

t.test('stations in three VLANs are found', async (t) => {
  for (let station = 1; station <= SWITCHES; station++) {
    for (const vlan of VLANS) {
      const addresses = { source: macOf(station), destination: BROADCAST };
      const ends = { sourceIp: 0x0a090000 + station, destinationIp: 0xffffffff };
      const frame = udpFrame(addresses, ends, vlan === 0 ? [] : [vlan]);
      await fabric.station(station).send('eth0', [frame]);
    }
  }
  const { length } = VLANS;
  await until('all stations', () => controller.fabric().stations.length >= length * SWITCHES, 30_000);
  await fabric.inSync();
  t.equal(controller.fabric().stations.length, length * SWITCHES);
});

/** What `ofproto/trace` says a frame does at each bridge on its way, and where it leaves the fabric. */
async function bySwitches(leg: FabricTraceLeg, first: { readonly at: string; readonly port: number }) {
  const { links } = controller.fabric();
  const visits: string[] = [];
  const left: string[] = [];
  const waiting = [first];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { at, port } = next;
    const flow = `in_port=${port},${leg.packet}`;
    const { lookups, outputs } = readOfprotoTrace(
      await control.call('ofproto/trace', `s${numberOf(at)}`, flow),
      NO_TUNNEL,
    );
    visits.push(`${at}/${port}: ${lookups.join('; ')}`);
    for (const output of outputs.map(Number)) {
      const link = links
        .flatMap(
          ({ from, to }) =>
            [
              [from, to],
              [to, from],
            ] as const,
        )
        .find(([from]) => from.datapathId === at && from.port === output);
      if (link === undefined) left.push(`${at}/${output}`);
      else waiting.push({ at: link[1].datapathId, port: link[1].port });
    }
  }
  return { visits, left };
}

/** Lookups of a visit in the same words, up to where the controller sends the frame on. */
function visitsOf({ visits }: FabricTraceLeg): string[] {
  return visits.map(({ switch: at, inPort, steps }) => {
    const sentOn = steps.findIndex(({ cause }) => cause !== undefined);
    const lookups = steps.slice(0, sentOn === -1 ? steps.length : sentOn).map(({ tableId, entry }) => {
      const [, cookie = '0x0'] = /cookie=(0x[0-9a-f]+)/.exec(entry ?? '') ?? [];
      const [, priority = '32768'] = /priority=(\d+)/.exec(entry ?? '') ?? [];
      return entry === undefined
        ? `${tableId}: no match`
        : `${tableId}: priority ${priority}, cookie ${cookie}`;
    });
    return `${at}/${inPort}: ${lookups.join('; ')}`;
  });
}

t.test('random frames: what is traced is what the switches say', async (t) => {
  const places = controller.fabric().stations;
  const wrong: string[] = [];
  const met = new Set<string>();
  const counts = { one: 0, chosen: 0, many: 0, nowhere: 0 };
  for (let n = 0; n < FRAMES; n++) {
    const sender = pick(places);
    const others = places.filter(({ mac: other, vlan }) => vlan === sender.vlan && other !== sender.mac);
    const to = pick([
      pick(others).mac,
      pick(others).mac,
      pick(others).mac,
      pick(others).mac,
      pick(places).mac,
      mac(0x02_99_00_00_00_01),
      'ff:ff:ff:ff:ff:ff',
      '239.1.2.3',
      '01:80:c2:00:00:03',
    ]);
    // Now and then from another place, where the station is not known.
    const place = below(12) === 0 ? pick(places) : sender;
    const report = await controller.traceFabric({
      from: sender.mac,
      to,
      vlan: sender.vlan,
      switch: place.datapathId,
      inPort: place.port,
    });
    const legs = [
      [report.request, { at: place.datapathId, port: place.port }],
      ...(report.reply === undefined
        ? []
        : [[report.reply, { at: report.to.switch ?? '', port: report.to.port ?? 0 }] as const]),
    ] as const;
    for (const [leg, first] of legs) {
      const said = await bySwitches(leg, first);
      const told = visitsOf(leg);
      for (const visit of told) met.add(visit.replace(/^.*\//, '').split('; ').at(-1) ?? '');
      const chosen = leg.visits.some(({ alternative }) => alternative);
      // Where the controller sends a frame on, ofproto/trace has nothing more to say.
      const learned = leg.visits.some(({ departures }) =>
        departures.some(({ to: where }) => /learns/.test(where)),
      );
      const left = leg.deliveries.map(({ switch: at, port }) => `${at}/${port}`);
      const isSame = learned
        ? told[0] === said.visits[0] && said.left.length === 0
        : chosen
          ? said.visits.every((visit) => told.includes(visit)) &&
            said.left.every((port) => left.includes(port))
          : String(told.toSorted()) === String(said.visits.toSorted()) &&
            String(left.toSorted()) === String(said.left.toSorted());
      if (!isSame) {
        wrong.push(
          `${leg.packet}: ${JSON.stringify({ told, left })}, not ${JSON.stringify({ told: said.visits, left: said.left })}`,
        );
      }
      if (chosen) counts.chosen++;
      else if (left.length === 0) counts.nowhere++;
      else if (left.length === 1) counts.one++;
      else counts.many++;
    }
  }
  t.strictSame(wrong.slice(0, 3), []);
  t.comment(`${JSON.stringify(counts)}; ways ended in ${met.size} different entries`);
  for (const [kind, count] of Object.entries(counts)) t.ok(count > 3, `${kind}: ${count}`);
});

t.test('fast failover: the first port that is up', async (t) => {
  const [host, station] = [fabric.host(1), fabric.station(2)];
  // A port that is down, which somebody has put before the way to switch 2.
  await host.ip('link add down1 type veth peer name down1b');
  await host.vsctl('add-port', 's1', 'down1');
  const portOf = async (name: string): Promise<number> =>
    Number(await host.vsctl('get', 'interface', name, 'ofport'));
  const [dead, live] = [await portOf('down1'), await portOf('s1-s2')];
  await until(
    'the port to be known',
    () => controller.fabric().ports.some(({ name, up }) => name === 'down1' && !up),
    30_000,
  );
  await fabric.inSync();
  const buckets = `bucket=watch_port:${dead},output:${dead},bucket=watch_port:${live},output:${live}`;
  await host.ofctl('add-group', 's1', `group_id=70000,type=fast_failover,${buckets}`);
  const table = fabricPipeline.tables.destination.id;
  const to = macOf(2);
  await host.ofctl('add-flow', 's1', `table=${table},priority=900,dl_dst=${mac(to)},actions=group:70000`);
  const report = await controller.traceFabric({ from: mac(macOf(1)), to: mac(to), vlan: 0 });
  t.equal(report.outcome, 'allowed', report.verdict);
  t.match(report.request.visits[0]?.steps.at(-1)?.remarks, [
    'group 70000: bucket 2, the first whose port is up',
    `out by port ${live}`,
  ]);
  t.match(report.differences, [{ host: datapathIdOf(1), foreign: 1 }]);
  const { port } = report.from;
  const said = await bySwitches(report.request, { at: datapathIdOf(1), port: port ?? 0 });
  t.strictSame(said.visits, visitsOf(report.request), 'as the switch says');
  t.equal((await station.ping('10.9.0.1', { count: 1 })).received, 1);
});

t.test('from a port, and by the IP address of who was heard there', async (t) => {
  const [first] = controller.fabric().stations.filter(({ vlan }) => vlan === 0);
  const report: FabricTraceReport = await controller.traceFabric({
    switch: first?.datapathId ?? '',
    inPort: first?.port ?? 0,
    to: mac(macOf(3)),
    vlan: 0,
  });
  t.match(report, { outcome: 'allowed', from: { mac: first?.mac }, to: { switch: datapathIdOf(3) } });
  const byAddress = await controller.traceFabric({ from: addressOf(2), to: addressOf(3), vlan: 5 });
  t.match(byAddress, {
    outcome: 'allowed',
    from: { mac: mac(macOf(2)), address: addressOf(2), switch: datapathIdOf(2) },
    request: { packet: /nw_src=10\.9\.0\.2,nw_dst=10\.9\.0\.3/ },
  });
});
