/** `weft trace` through fabrics whose switches hold what is desired of them: ways, groups by the state of ports, verdicts, refusals. */
import fc from 'fast-check';
import t from 'tap';
import { fabricPipeline } from '../../apps/fabric/index.js';
import { Explainer } from '../../controller/datapath/explain.js';
import {
  fabricCauseOf,
  type FabricTraceReport,
  type FabricTraceRequest,
  type TraceError,
  traceFabric,
} from '../../controller/trace/index.js';
import type { FlowStats } from '../../ofproto/index.js';
import { EDGE_PORT, FabricWorld, frame, idOf, macOf, type World } from '../apps/fabric-world.js';
import { desiredSession } from './support.js';

const FIRST_LINK_PORT = 100;

class TracedFabric extends FabricWorld {
  readonly away = new Set<string>();
  readonly addresses = new Map<string, number>();
  tampered: (flow: FlowStats, datapathId: string) => FlowStats | undefined = (flow) => flow;

  /** @param dead cables whose ports are down, and of which the controller has done nothing yet */
  constructor(world: World, dead: ReadonlySet<number> = new Set()) {
    super(world);
    const put = (index: number, number: number, up: boolean): void => {
      const [datapathId, name] = [idOf(index), `s${index + 1}-eth${number}`];
      this.desired.facts.ports.set(`${datapathId}/${name}`, { datapathId, name, number, up });
    };
    for (let index = 0; index < world.switches; index++) put(index, EDGE_PORT, true);
    for (const [cable, ends] of world.cables.entries()) {
      for (const end of ends) put(end, FIRST_LINK_PORT + cable, !dead.has(cable));
    }
    this.settle();
  }

  async trace(request: FabricTraceRequest): Promise<FabricTraceReport> {
    const { desired } = this;
    const explainer = new Explainer(desired);
    return await traceFabric(request, {
      facts: desired.facts,
      pipeline: fabricPipeline,
      macOf: ({ family, bits }) => this.addresses.get(`${family}/${bits}`),
      session: (datapathId) =>
        this.away.has(datapathId)
          ? undefined
          : desiredSession(datapathId, () => desired.entries(datapathId), {
              tampered: (flow) => this.tampered(flow, datapathId),
            }),
      ownerOf: (cookie) => explainer.ownerOf(cookie),
      causeOf: fabricCauseOf,
      differences: async () => ({
        difference: { missing: 0, extra: 0, changed: 0, foreign: 0 },
        examples: [],
      }),
    });
  }
}

const mac = (station: number): string =>
  macOf(station)
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:');
const between = (from: number, to: number): FabricTraceRequest => ({ from: mac(from), to: mac(to) });
const way = ({ visits }: FabricTraceReport['request']): string[] =>
  visits.map((visit) => `${Number(`0x${visit.switch}`)}${visit.alternative ? '?' : ''}`);

t.test('a line: over its links, and back', async (t) => {
  const fabric = new TracedFabric({
    switches: 3,
    cables: [
      [0, 1],
      [1, 2],
    ],
  });
  const report = await fabric.trace(between(0, 2));
  t.match(report, { outcome: 'allowed', vlan: 0, differences: [] });
  t.equal(
    report.verdict,
    `allowed: ${mac(0)} to ${mac(2)} arrives over ${idOf(0)}, ${idOf(1)}, ${idOf(2)}, and so does the answer`,
  );
  t.same(
    [way(report.request), way(report.reply!)],
    [
      ['1', '2', '3'],
      ['3', '2', '1'],
    ],
  );
  const [first, second] = report.request.visits;
  t.equal(first?.arrival, `port 1 (s1-eth1) from ${mac(0)}`);
  t.equal(second?.arrival, `port 100 (s2-eth100) from ${idOf(0)}/100`);
  t.match(
    first?.steps.map(({ table }) => table),
    ['ingress', 'station', 'destination', 'path'],
  );
  t.match(first?.steps[3], { owner: `fabric-paths.paths of host ${idOf(2)}`, remarks: ['out by port 100'] });
  t.same(first?.departures, [{ port: 100, to: `${idOf(1)} by port 100 (s1-eth100)` }]);
  t.match(report.request.deliveries, [{ switch: idOf(2), port: 1, stations: [mac(2)], alternative: false }]);
});

t.test('a square: a switch chooses; a triangle: fast failover by the state of the port', async (t) => {
  const square = [
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 0],
  ] as const;
  const chosen = await new TracedFabric({ switches: 4, cables: square }).trace(between(0, 2));
  t.same(way(chosen.request), ['1', '2?', '4?', '3?', '3?'], 'both, and the last by each of its ports');
  t.match(chosen.verdict, /arrives over .*, or another way that a switch chooses, and so does the answer$/);
  const down = await new TracedFabric({ switches: 4, cables: square }, new Set([0])).trace(between(0, 2));
  t.same(way(down.request), ['1', '4', '3'], 'one of two next hops is down');

  const triangle = [
    [0, 1],
    [1, 2],
    [2, 0],
  ] as const;
  const straight = await new TracedFabric({ switches: 3, cables: triangle }).trace(between(0, 1));
  t.same(way(straight.request), ['1', '2']);
  t.match(straight.request.visits[0]?.steps.at(-1)?.remarks, [
    /^group 2: bucket 1, the first whose port is up/,
  ]);
  const around = await new TracedFabric({ switches: 3, cables: triangle }, new Set([0])).trace(between(0, 1));
  t.same(way(around.request), ['1', '3', '2']);
  t.match(around.request.visits[0]?.steps.at(-1)?.remarks, [/^group 2: bucket 2/]);
  const none = await new TracedFabric({ switches: 3, cables: triangle }, new Set([0, 2])).trace(
    between(0, 1),
  );
  t.equal(none.outcome, 'dropped');
  t.match(none.request.visits[0]?.steps.at(-1)?.remarks, ['group 2: none of its buckets lives']);
});

t.test('what a trace says is what becomes of the frame, whatever links are down', async (t) => {
  const worlds = fc.integer({ min: 2, max: 6 }).chain((switches) =>
    fc.record({
      switches: fc.constant(switches),
      cables: fc
        .array(fc.tuple(fc.nat(switches - 1), fc.nat(switches - 1)), { minLength: 1, maxLength: 9 })
        .map((pairs) => pairs.filter(([a, b]) => a !== b)),
    }),
  );
  const seen = { allowed: 0, other: 0, chosen: 0, broadcasts: 0 };
  await fc.assert(
    fc.asyncProperty(worlds, fc.uniqueArray(fc.nat(8), { maxLength: 3 }), async (world, failed) => {
      const dead = new Set(failed);
      const fabric = new TracedFabric(world, dead);
      for (let to = 1; to < world.switches; to++) {
        const { request } = await fabric.trace(between(0, to));
        const arrives = [0, 1, 2, 3].map(
          (choice) =>
            fabric.walk(0, frame(macOf(0), macOf(to)), { dead, choice }).delivered.join() === `${to}`,
        );
        const isChosen = request.visits.some(({ alternative }) => alternative);
        if (isChosen) seen.chosen++;
        if (request.outcome === 'allowed') {
          seen.allowed++;
          if (!arrives.every(Boolean)) return false;
        } else {
          seen.other++;
          if (!isChosen && arrives.some(Boolean)) return false;
        }
      }
      const { request } = await fabric.trace({ from: mac(0), to: 'ff:ff:ff:ff:ff:ff' });
      const reached = request.deliveries.map((at) => Number(`0x${at.switch}`) - 1).sort((a, b) => a - b);
      const { delivered } = fabric.walk(0, frame(macOf(0), 0xffff_ffff_ffff), { dead });
      seen.broadcasts += reached.length;
      return reached.join() === delivered.toSorted((a, b) => a - b).join();
    }),
    { numRuns: 60 },
  );
  t.comment(JSON.stringify(seen));
  for (const count of Object.values(seen)) t.ok(count > 0);
});

t.test('broadcast, groups, and a station that nobody knows', async (t) => {
  const fabric = new TracedFabric({
    switches: 3,
    cables: [
      [0, 1],
      [1, 2],
      [2, 0],
    ],
  });
  const broadcast = await fabric.trace({ from: mac(0), to: '255.255.255.255' });
  t.match(broadcast, { outcome: 'allowed', to: { mac: 'ff:ff:ff:ff:ff:ff' } });
  t.equal(broadcast.verdict, `allowed: ${mac(0)} to 255.255.255.255 arrives at 2 edge ports`);
  t.equal(broadcast.reply, undefined);
  const group = await fabric.trace({ from: mac(0), to: '239.129.1.2' });
  t.match(group.to, { mac: '01:00:5e:01:01:02' });
  t.match(group.request.packet, /nw_dst=239\.129\.1\.2/);
  t.match((await fabric.trace({ from: mac(0), to: 'ff05::1:3' })).to, { mac: '33:33:00:01:00:03' });
  const unknown = await fabric.trace({ from: mac(0), to: '02:99:00:00:00:01' });
  t.match(unknown, {
    outcome: 'lost',
    verdict: /nobody knows where .* is, so it is flooded to 2 edge ports$/,
  });
  fabric.setPort(2, EDGE_PORT, undefined);
  fabric.settle();
  const closed = await fabric.trace({ from: mac(2), to: mac(0) });
  t.equal(closed.outcome, 'dropped');
  t.match(
    closed.verdict,
    /in table ingress by pipeline\.miss.*\(nothing is let in by a port that is blocked/,
  );
});

t.test('a station at another port: the controller learns it there and sends the frame on', async (t) => {
  const fabric = new TracedFabric({ switches: 2, cables: [[0, 1]] });
  const moved = await fabric.trace({ from: mac(0), to: mac(1), switch: '0x2', inPort: EDGE_PORT });
  const [first] = moved.request.visits;
  t.match(first?.departures, [{ to: 'the controller, which learns the station and sends it on' }]);
  t.match(
    first?.steps.map(({ table, cause }) => `${table} ${cause ?? ''}`),
    ['ingress ', 'station ', 'destination sent on by the controller'],
  );
  t.equal(moved.outcome, 'dropped', 'to the port that it came from');
  const other = await fabric.trace({ from: '02:99:00:00:00:01', to: mac(1), switch: '1', inPort: EDGE_PORT });
  t.match(other, { outcome: 'allowed' });
  t.equal(other.request.visits[0]?.steps.at(-1)?.table, 'path');
  t.equal(
    other.reply?.visits.at(-1)?.steps.at(-1)?.table,
    'flood_edge',
    'its answer is flooded, until it is known',
  );
  const anybody = await fabric.trace({ to: mac(1), switch: '1', inPort: EDGE_PORT });
  t.match(anybody, { outcome: 'allowed', from: { mac: mac(0), switch: idOf(0), port: EDGE_PORT } });
});

t.test('a switch that is away, entries that somebody has taken away', async (t) => {
  const fabric = new TracedFabric({
    switches: 3,
    cables: [
      [0, 1],
      [1, 2],
    ],
  });
  fabric.away.add(idOf(1));
  t.match(await fabric.trace(between(0, 2)), { outcome: 'unseen', verdict: /switch 0*2 is not connected/ });
  fabric.away.clear();
  fabric.tampered = (flow, datapathId) =>
    datapathId === idOf(1) && flow.tableId === fabricPipeline.tables.path.id ? undefined : flow;
  t.match(await fabric.trace(between(0, 2)), {
    outcome: 'dropped',
    verdict: /on 0*2 in table path: no entry matches$/,
  });
});

t.test('what cannot be traced is refused with a fix', async (t) => {
  const fabric = new TracedFabric({ switches: 2, cables: [[0, 1]] });
  fabric.setStation(0, 7, macOf(0), 11);
  fabric.setStation(1, 7, macOf(1), 12);
  fabric.settle();
  const refusals: readonly (readonly [FabricTraceRequest, string, string])[] = [
    [{ from: 'x', to: mac(1) }, 'trace.party.syntax', 'from'],
    [{ from: '01:00:5e:00:00:01', to: mac(1) }, 'trace.from.group', 'from'],
    [{ from: '10.0.0.1', to: mac(1) }, 'trace.fabric.address-unknown', 'from'],
    [{ from: '02:99:00:00:00:01', to: mac(1) }, 'trace.fabric.vlan-ambiguous', 'vlan'],
    [between(0, 1), 'trace.fabric.vlan-ambiguous', 'vlan'],
    [{ ...between(0, 1), vlan: 9 }, 'trace.fabric.station-unknown', 'from'],
    [{ to: mac(1) }, 'trace.fabric.from-missing', 'from'],
    [{ to: mac(1), switch: '1' }, 'trace.fabric.port-incomplete', 'inPort'],
    [{ to: mac(1), switch: '9', inPort: 1 }, 'object.unknown', 'switch'],
    [{ to: mac(1), switch: '1', inPort: 9 }, 'object.unknown', 'inPort'],
  ];
  for (const [request, code, path] of refusals) {
    const error = await fabric.trace(request).then(
      () => undefined,
      (thrown: TraceError) => thrown,
    );
    t.match(error, { code, path, fix: /./ }, JSON.stringify(request));
  }
  t.match(await fabric.trace({ ...between(0, 1), vlan: 7 }), { outcome: 'allowed', vlan: 7 });
  fabric.addresses.set(`4/${0x0a000001}`, macOf(0));
  t.match(await fabric.trace({ from: '10.0.0.1', to: mac(1), vlan: 0 }), {
    outcome: 'allowed',
    verdict: /^allowed: 10\.0\.0\.1 to /,
  });
});
