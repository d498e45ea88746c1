/** The declaration of a pipeline, what is checked against it, and the desired tables that apps make in scopes. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { App, AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import { PipelineChecker } from '../../controller/datapath/check.js';
import { COOKIE_MARKER, cookieLayout, defineCookie, isOurCookie } from '../../controller/datapath/cookie.js';
import { describePipeline } from '../../controller/datapath/describe.js';
import { DesiredTables } from '../../controller/datapath/desired.js';
import type { DesiredFlow, FlowSpec } from '../../controller/datapath/entry.js';
import { Explainer } from '../../controller/datapath/explain.js';
import { defineRegisters } from '../../controller/datapath/fields.js';
import { definePipeline, type TableSpec } from '../../controller/datapath/pipeline.js';
import { findDanglingReferences, findOverlaps } from '../../controller/datapath/verify.js';
import type { NetworkFact } from '../../controller/model/facts.js';
import { type Action, F, type Instruction, type Match, matchOf, oxm, Port } from '../../ofproto/index.js';

const R = defineRegisters({
  network: { register: 0, offset: 0, bits: 24, description: 'the network' },
  origin: { register: 0, offset: 24, bits: 2 },
  whole: { register: 1, offset: 0, bits: 32 },
});
const pipeline = definePipeline([
  {
    name: 'classify',
    stage: 'classify',
    description: 'Gives the packet its network.',
    match: [F.in_port, F.vlan_vid],
    set: [R.network, R.origin, F.vlan_vid],
    goto: ['forward'],
    miss: 'drop',
  },
  {
    name: 'forward',
    stage: 'forward',
    description: 'Finds the way.',
    match: [R.network, F.eth_dst, F.eth_type, F.ip_proto, F.ipv4_dst, F.tcp_dst],
    set: [F.ipv4_dst, R.whole],
    goto: ['output'],
    resubmit: ['output'],
    miss: 'continue',
  },
  { name: 'output', stage: 'output', description: 'Leaves.', match: [R.network], miss: 'drop' },
]);
const { classify, forward, output } = pipeline.tables;
const out = (port: number): Action => ({ type: 'output', port, maxLen: 0 });

t.test('a pipeline numbers its tables and refuses a declaration that cannot work', async (t) => {
  t.strictSame(
    pipeline.order.map(({ id, name, next }) => [id, name, next?.name]),
    [
      [0, 'classify', undefined],
      [1, 'forward', 'output'],
      [2, 'output', undefined],
    ],
  );
  const table = (name: string, more: Partial<TableSpec> = {}): TableSpec => ({
    name,
    stage: 'forward',
    description: '',
    match: [],
    miss: 'drop',
    ...more,
  });
  t.throws(() => definePipeline([table('a'), table('a')]), /'a' is declared twice/);
  t.throws(() => definePipeline([table('a', { goto: ['b'] })]), /goto names 'b', which is not declared/);
  t.throws(() => definePipeline([table('a'), table('b', { goto: ['a'] })]), /goes back; use resubmit/);
  t.throws(() => definePipeline([table('a', { resubmit: ['x'] })]), /resubmit names 'x'/);
  t.throws(() => definePipeline([table('a', { miss: 'continue' })]), /name a later table or drop/);
  t.throws(
    () => definePipeline([table('a', { miss: { continue: 'a' } }), table('b')]),
    /cannot continue in 'a'/,
  );
  t.throws(
    () => definePipeline([table('a', { stage: 'anti_spoof', miss: 'continue' }), table('b')]),
    /a miss in the security stage 'anti_spoof' drops/,
  );
  t.throws(() => definePipeline([table('a'), table('b', { stage: 'classify' })]), /comes after 'a'/);
});

t.test('register fields place, mask and check their values', async (t) => {
  t.match(R.network.match(7), { field: F.reg0, value: 7, mask: 0xffffff });
  t.match(R.origin.match(2), { field: F.reg0, value: 2 * 2 ** 24, mask: 0x3000000 });
  t.strictSame(R.whole.match(0xffffffff), oxm(F.reg1, 0xffffffff));
  t.match(R.origin.set(3), { type: 'reg_load', dst: F.reg0, offset: 24, bits: 2, value: 3n });
  t.match(R.network.copyFrom(F.tunnel_id), { src: F.tunnel_id, dst: F.reg0, dstOffset: 0, bits: 24 });
  t.match(R.network.copyTo(F.tunnel_id), { src: F.reg0, srcOffset: 0, dst: F.tunnel_id, bits: 24 });
  t.throws(() => R.origin.match(4), /'origin' has 2 bits, which do not hold 4/);
  t.throws(() => R.network.set(-1), RangeError);
  t.throws(
    () => defineRegisters({ a: { register: 0, offset: 0, bits: 8 }, b: { register: 0, offset: 7, bits: 1 } }),
    /'b' shares/,
  );
  t.throws(() => defineRegisters({ a: { register: 16, offset: 0, bits: 8 } }), /no register 16/);
  t.throws(() => defineRegisters({ a: { register: 1, offset: 30, bits: 3 } }), /do not fit 32 bits/);
});

t.test('a cookie carries its fields', async (t) => {
  fc.assert(
    fc.property(
      fc.record({ app: fc.nat(255), scope: fc.nat(15), rule: fc.nat(4095), object: fc.nat(0xffffffff) }),
      (owner) => {
        const cookie = cookieLayout.encode({ marker: COOKIE_MARKER, ...owner });
        assert.deepEqual(cookieLayout.decode(cookie), { marker: COOKIE_MARKER, ...owner });
        assert.ok(isOurCookie(cookie) && cookie < 1n << 64n);
      },
    ),
  );
  t.notOk(isOurCookie(0n));
  t.notOk(isOurCookie(0x57n));
  t.throws(
    () => cookieLayout.encode({ marker: 1, app: 256, scope: 0, rule: 0, object: 0 }),
    /'app' has 8 bits/,
  );
  t.throws(() => defineCookie({ a: { offset: 0, bits: 8 }, b: { offset: 4, bits: 8 } }), /'b' overlaps/);
  t.throws(() => defineCookie({ a: { offset: 60, bits: 8 } }), /do not fit 64 bits/);
});

t.test('an entry is held to the declaration of its table', async (t) => {
  const checker = new PipelineChecker(pipeline);
  const base: FlowSpec = { table: forward, priority: 1, match: [R.network.match(1)], apply: [out(1)] };
  const refuse = (code: string, text: RegExp, more: Partial<FlowSpec>) =>
    t.throws(() => checker.flow({ ...base, ...more }), { code, message: text }, text.source);

  t.strictSame(checker.flow(base), base.match);
  t.match(
    checker.flow({
      table: classify,
      priority: 1,
      match: [],
      apply: [R.origin.set(1), { type: 'pop_vlan' }],
      goto: forward,
    }),
    [],
  );
  t.doesNotThrow(() =>
    checker.flow({ ...base, match: matchOf({ eth_type: 0x800, ipv4_dst: [0x0a000000, 0xff000000] }) }),
  );
  refuse('pipeline.priority', /0 is the table's own miss entry/, { priority: 0 });
  refuse('pipeline.priority', /70000/, { priority: 70_000 });
  refuse('pipeline.match', /forward: match on eth_src is not declared; add eth_src to match/, {
    match: matchOf({ eth_src: 1 }),
  });
  refuse('pipeline.match', /bits 0x3000000 of reg0/, { match: [R.network.match(1), R.origin.match(1)] });
  refuse('pipeline.match', /wants two values of one bit/, {
    match: [R.network.match(1), R.network.match(2)],
  });
  refuse('pipeline.prerequisite', /match of ipv4_dst needs eth_type 0x800/, {
    match: matchOf({ ipv4_dst: 1 }),
  });
  refuse('pipeline.prerequisite', /needs eth_type/, { match: matchOf({ eth_type: 0x86dd, ipv4_dst: 1 }) });
  refuse('pipeline.prerequisite', /match of tcp_dst needs ip_proto 0x6/, {
    match: matchOf({ eth_type: 0x800, ip_proto: 17, tcp_dst: 80 }),
  });
  refuse('pipeline.prerequisite', /set_field of ipv4_dst needs eth_type/, {
    apply: [{ type: 'set_field', oxm: oxm(F.ipv4_dst, 1) }],
  });
  refuse('pipeline.set', /writing bits 0xffffff of reg0|writing reg0 is not declared/, {
    apply: [R.network.set(1)],
  });
  refuse('pipeline.set', /writing vlan_vid/, { apply: [{ type: 'push_vlan', ethertype: 0x8100 }] });
  refuse('pipeline.set', /writing eth_dst/, { write: [{ type: 'set_field', oxm: oxm(F.eth_dst, 1) }] });
  refuse('pipeline.set', /writing eth_dst/, {
    apply: [{ type: 'clone', actions: [{ type: 'set_field', oxm: oxm(F.eth_dst, 1) }] }],
  });
  refuse('pipeline.goto', /goto 'classify' is not declared; add 'classify'/, { goto: classify });
  refuse('pipeline.goto', /looking up again in 'forward'/, { apply: [{ type: 'resubmit' }] });
  t.doesNotThrow(() => checker.flow({ ...base, apply: [{ type: 'resubmit', table: output.id }] }));
  refuse('pipeline.drop', /does nothing; write drop: true/, { apply: [] });
  refuse('pipeline.drop', /drops and acts/, { drop: true });
  refuse('pipeline.table', /of another pipeline/, { table: { ...forward } });
  refuse('pipeline.action', /removed by the audit/, {
    apply: [
      {
        type: 'learn',
        idleTimeout: 0,
        hardTimeout: 0,
        priority: 1,
        cookie: 0n,
        flags: 0,
        table: 1,
        finIdleTimeout: 0,
        finHardTimeout: 0,
        specs: [],
      },
    ],
  });
  t.throws(() => checker.group({ id: 1, groupType: 2, buckets: [] }), { code: 'pipeline.group' });
  const bucket = {
    weight: 0,
    watchPort: Port.ANY,
    watchGroup: 0xffffffff,
    actions: [{ type: 'group', groupId: 1 }] as const,
  };
  t.throws(() => checker.group({ id: 1, groupType: 0, buckets: [bucket] }), /contains itself/);
});

t.test('register fields of one register are one field of the match', async (t) => {
  const own = definePipeline([
    { name: 'a', stage: 'forward', description: '', match: [R.network, R.origin], miss: 'drop' },
  ]);
  const match = new PipelineChecker(own).flow({
    table: own.tables.a,
    priority: 1,
    match: [R.origin.match(1), R.network.match(5)],
    drop: true,
  });
  t.strictSame(match, [oxm(F.reg0, 0x1000005, 0x3ffffff)]);
});

t.test('overlaps are found, and only overlaps', async (t) => {
  const values = fc.integer({ min: 0, max: 3 });
  const masks = fc.constantFrom(undefined, 1, 2, 3);
  const field = (name: 'eth_dst' | 'eth_src' | 'metadata') =>
    fc
      .option(fc.tuple(values, masks), { nil: undefined })
      .map((pair) => (pair === undefined ? [] : [{ name, value: pair[0], mask: pair[1] }]));
  const flows = fc.array(
    fc.record({
      priority: fc.integer({ min: 1, max: 2 }),
      port: fc.integer({ min: 1, max: 2 }),
      fields: fc.tuple(field('eth_dst'), field('eth_src'), field('metadata')).map((parts) => parts.flat()),
    }),
    { maxLength: 8 },
  );
  const width = { eth_dst: 2 ** 48 - 1, eth_src: 2 ** 48 - 1, metadata: 2 ** 32 - 1 };
  let found = 0;
  fc.assert(
    fc.property(flows, (specs) => {
      const entries = specs.map(({ priority, port, fields }): DesiredFlow => {
        const match: Match = fields.map(({ name, value, mask }) =>
          name === 'metadata'
            ? oxm(F.metadata, BigInt(value), mask === undefined ? undefined : BigInt(mask))
            : oxm(F[name], value, mask),
        );
        const instructions: Instruction[] = [{ type: 'apply_actions', actions: [out(port)] }];
        return { kind: 'flow', table: 0, priority, match, instructions, cookie: 0n };
      });
      // By trying every packet: two bits of each field are looked at, and a third that only exact matches see.
      const packets: Record<string, number>[] = [];
      for (let a = 0; a < 8; a++)
        for (let b = 0; b < 8; b++)
          for (let c = 0; c < 8; c++) packets.push({ eth_dst: a, eth_src: b, metadata: c });
      const matches = (spec: (typeof specs)[number], packet: Record<string, number>) =>
        spec.fields.every(({ name, value, mask }) => {
          const compared = mask ?? width[name];
          return ((packet[name]! ^ value) & compared & 7) === 0;
        });
      const sameKey = (i: number, j: number) => JSON.stringify(normal(i)) === JSON.stringify(normal(j));
      const normal = (i: number) =>
        specs[i]!.fields.map(({ name, value, mask }) => [
          name,
          value & ((mask ?? 7) as number),
          mask ?? 'exact',
        ]);
      const expected: string[] = [];
      for (let i = 0; i < specs.length; i++) {
        for (let j = i + 1; j < specs.length; j++) {
          const [a, b] = [specs[i]!, specs[j]!];
          if (a.priority !== b.priority || a.port === b.port || sameKey(i, j)) continue;
          if (packets.some((packet) => matches(a, packet) && matches(b, packet)))
            expected.push([i, j].join());
        }
      }
      const overlaps = findOverlaps(entries).map(({ first, second }) =>
        [entries.indexOf(first), entries.indexOf(second)].sort((a, b) => a - b).join(),
      );
      assert.deepEqual(overlaps.sort(), expected.sort());
      found += overlaps.length;
    }),
    { numRuns: 300 },
  );
  t.ok(found > 20, `${found} overlaps`);
});

t.test('clauses of conjunctive matches may overlap each other, references may not dangle', async (t) => {
  const flow = (match: Match, actions: Action[]): DesiredFlow => ({
    kind: 'flow',
    table: 0,
    priority: 1,
    match,
    instructions: [{ type: 'apply_actions', actions }],
    cookie: 0n,
  });
  const clause = (clause: number): Action => ({ type: 'conjunction', id: 1, clause, clauses: 2 });
  const one = flow(matchOf({ eth_dst: 1 }), [clause(1)]);
  const two = flow(matchOf({ eth_src: 1 }), [clause(2)]);
  t.strictSame(findOverlaps([one, two]), []);
  t.equal(findOverlaps([one, two, flow(matchOf({ in_port: 1 }), [out(1)])]).length, 2);
  const toGroup = flow([], [{ type: 'group', groupId: 7 }]);
  t.match(findDanglingReferences([toGroup]), [{ entry: toGroup, missing: 'group 7' }]);
  const owner = 'test';
  t.strictSame(
    findDanglingReferences([toGroup, { kind: 'group', id: 7, groupType: 0, buckets: [], owner }]),
    [],
  );
  t.match(findDanglingReferences([{ ...toGroup, instructions: [{ type: 'meter', meterId: 3 }] }]), [
    { missing: 'meter 3' },
  ]);
});

const network = (number: number): NetworkFact => ({
  id: `t/n${number}`,
  tenant: 't',
  name: `n${number}`,
  number,
  encapsulation: 'vxlan',
  tag: number,
  uplinkHandOff: false,
});
const app = (name: string, id: number, declare: (declaration: AppDeclaration) => void): App => ({
  name,
  id,
  declare,
});
const perNetwork = (run: (context: EntryContext, network: NetworkFact) => void) =>
  app('net', 1, (d) => d.entries('rule', d.facts.networks, run));
const texts = (desired: DesiredTables, datapathId: string) => {
  const explainer = new Explainer(desired);
  return [...desired.entries(datapathId)].map((entry) => explainer.text(entry)).sort();
};
const claimed = (desired: DesiredTables, count: number) => {
  for (let n = 1; n <= count; n++)
    desired.facts.hosts.set(`h${n}`, { name: `h${n}`, number: n, datapathId: `d${n}` });
};

t.test(
  'a claimed switch holds the pipeline; an entry is in one scope and on all its subscribers',
  async (t) => {
    const desired = new DesiredTables({
      pipeline,
      apps: [
        perNetwork((context, { number }) => {
          context.flow(`network:${number}`, {
            table: forward,
            priority: 5,
            match: [R.network.match(number)],
            apply: [out(number)],
            object: number,
          });
          context.subscribe('d1', `network:${number}`);
          if (number === 2) context.subscribe('d2', 'network:2');
        }),
      ],
    });
    t.strictSame([...desired.entries('d1')], []);
    claimed(desired, 2);
    desired.settle();
    t.equal([...desired.entries('d1')].length, pipeline.order.length, 'one miss entry for each table');
    desired.facts.networks.set('t/n1', network(1));
    desired.facts.networks.set('t/n2', network(2));
    const changes = desired.settle();
    t.equal(
      [...changes.entries.values()].reduce((sum, keys) => sum + keys.size, 0),
      2,
    );
    t.strictSame(
      [...changes.subscriptions].map(([id, { added }]) => [id, [...added].map((scope) => scope.name)]),
      [
        ['d1', ['network:1', 'network:2']],
        ['d2', ['network:2']],
      ],
    );
    const ofNetwork2 = (id: string) =>
      [...desired.entries(id)].find(
        (entry) => entry.kind === 'flow' && entry.priority === 5 && (entry.cookie & 0xffffn) === 2n,
      );
    t.ok(ofNetwork2('d1'));
    t.equal(ofNetwork2('d1'), ofNetwork2('d2'), 'kept once');
    t.equal(new Explainer(desired).owner(ofNetwork2('d1')!), 'net.rule object 2');
    desired.facts.networks.delete('t/n2');
    desired.facts.hosts.delete('h1');
    desired.settle();
    t.equal(texts(desired, 'd2').length, pipeline.order.length);
    t.equal(texts(desired, 'd1').length, 1, 'only what an app subscribes it to');
    t.strictSame([...desired.scopes.scopes].map((scope) => scope.name).sort(), [
      'global',
      'host:h2',
      'network:1',
    ]);
  },
);

t.test('what an entry is about is named by the kind that its rule declares', async (t) => {
  const number = 7;
  const about: App = {
    name: 'about',
    id: 3,
    declare(d) {
      const flow = (priority: number): FlowSpec => ({
        table: forward,
        priority,
        match: [],
        apply: [out(1)],
        object: number,
      });
      d.entries({ name: 'home', object: 'endpoint' }, d.facts.endpoints, (context) =>
        context.flow('global', flow(1)),
      );
      d.entries({ name: 'members', object: 'network' }, d.facts.networks, (context) => {
        context.flow('global', flow(2));
        context.group('global', { id: 1, groupType: 0, buckets: [], object: number });
        context.meter('global', { id: 1, flags: 1, bands: [], object: number });
        context.group('global', { id: 2, groupType: 0, buckets: [] });
      });
      d.entries('codes', d.facts.networks, (context) => context.flow('global', flow(3)));
      d.entries({ name: 'rules', object: 'policy' }, d.facts.networks, (context) =>
        context.flow('global', flow(4)),
      );
    },
  };
  const desired = new DesiredTables({ pipeline, apps: [about] });
  const explainer = new Explainer(desired);
  claimed(desired, 1);
  const endpoint = (id: string) => {
    const [tenant, name] = id.split('/') as [string, string, string];
    return { id, network: `${tenant}/${name}`, name: id, number, mac: 1, ipv4: [], ipv6: [], generation: 0 };
  };
  const owners = () =>
    [...desired.entries('d1')]
      .filter((entry) => entry.kind !== 'flow' || entry.priority > 0)
      .map((entry) => explainer.owner(entry))
      .sort();
  desired.facts.networks.set('t/n7', network(number));
  desired.facts.endpoints.set('t/n7/a', endpoint('t/n7/a'));
  desired.settle();
  const ofNetwork = ['about.members', ...Array<string>(3).fill('about.members of network t/n7')];
  const others = ['about.codes object 7', 'about.rules of policy number 7'];
  t.strictSame(owners(), [others[0], 'about.home of endpoint t/n7/a', ...ofNetwork, others[1]]);
  const [gone] = [...desired.entries('d1')].filter(
    (entry): entry is DesiredFlow => entry.kind === 'flow' && entry.priority === 1,
  );
  t.strictSame(explainer.refused(gone!, 'OFPFMFC_TABLE_FULL').object, {
    number,
    kind: 'endpoint',
    name: 't/n7/a',
  });

  desired.facts.endpoints.delete('t/n7/a');
  desired.facts.endpoints.set('t/n7/b', endpoint('t/n7/b'));
  desired.settle();
  t.equal(explainer.owner(gone!), 'about.home of endpoint t/n7/b', 'the number has passed to another');
  desired.facts.endpoints.delete('t/n7/b');
  desired.settle();
  t.equal(explainer.owner(gone!), 'about.home of endpoint number 7');
  t.strictSame(owners(), [others[0], ...ofNetwork, others[1]]);
  t.equal(explainer.ownerOf(0n), undefined);
  const miss = [...desired.entries('d1')].find((entry) => entry.kind === 'flow' && entry.table === 0);
  t.equal(explainer.owner(miss!), 'pipeline.miss of table classify');
});

t.test('the scope of the host holds over shared ones, the smaller name over the larger', async (t) => {
  const flow = (port: number): FlowSpec => ({ table: forward, priority: 5, match: [], apply: [out(port)] });
  const desired = new DesiredTables({
    pipeline,
    apps: [
      perNetwork((context, { number }) => {
        context.flow(`network:${number}`, flow(number));
        if (number === 3) context.flow('host:h1', flow(99));
        for (const id of ['d1', 'd2']) context.subscribe(id, `network:${number}`);
      }),
    ],
  });
  claimed(desired, 2);
  const outputs = (id: string) =>
    texts(desired, id)
      .filter((text) => text.includes('priority=5'))
      .map((text) => /output:(\d+)/.exec(text)?.[1]);
  desired.facts.networks.set('t/n2', network(2));
  t.notOk(desired.settle().contested('f1,5,'));
  t.strictSame([outputs('d1'), outputs('d2')], [['2'], ['2']]);
  desired.facts.networks.set('t/n1', network(1));
  t.ok(desired.settle().contested('f1,5,'));
  t.strictSame([outputs('d1'), outputs('d2')], [['1'], ['1']]);
  desired.facts.networks.set('t/n3', network(3));
  desired.settle();
  t.strictSame([outputs('d1'), outputs('d2')], [['99'], ['1']]);
  desired.facts.networks.delete('t/n3');
  desired.facts.networks.delete('t/n1');
  t.ok(desired.settle().contested('f1,5,'), 'a key that has just left a scope, too');
  t.strictSame([outputs('d1'), outputs('d2')], [['2'], ['2']]);
  t.notOk(desired.settle().contested('f1,5,'));
});

t.test(
  'two rules for one entry: the first declared holds, and it is a conflict while it lasts',
  async (t) => {
    const entries = (port: number) => (context: EntryContext) =>
      context.flow('global', { table: forward, priority: 5, match: [], apply: [out(port)] });
    const desired = new DesiredTables({
      pipeline,
      apps: [
        app('one', 1, (d) => {
          d.entries('a', d.facts.tenants, entries(1));
          d.entries('b', d.facts.networks, entries(2));
        }),
        app('two', 2, (d) => d.entries('c', d.facts.networks, entries(3))),
      ],
    });
    claimed(desired, 1);
    const held = () =>
      texts(desired, 'd1')
        .filter((text) => text.includes('priority=5'))
        .map((text) => /output:(\d+)/.exec(text)?.[1]);
    desired.facts.networks.set('t/n1', network(1));
    t.match(desired.settle().conflicts, [{ scope: 'global', kept: 'one.b', overruled: ['two.c'] }]);
    t.strictSame(held(), ['2']);
    desired.facts.tenants.set('t', { name: 't', number: 1 });
    t.match(desired.settle().conflicts, [{ kept: 'one.a', overruled: ['one.b', 'two.c'] }]);
    t.strictSame(held(), ['1']);
    desired.facts.tenants.delete('t');
    desired.settle();
    t.strictSame(held(), ['2']);
    desired.facts.networks.delete('t/n1');
    desired.settle();
    t.strictSame(held(), []);
    t.strictSame(desired.conflicts(), []);
  },
);

t.test('an entry that breaks the declaration is a failure of its rule; other instances go on', async (t) => {
  const desired = new DesiredTables({
    pipeline,
    apps: [
      perNetwork((context, { number }) =>
        context.flow('global', {
          table: forward,
          priority: 5,
          match: number === 1 ? matchOf({ eth_src: 1 }) : [R.network.match(number)],
          drop: true,
        }),
      ),
    ],
  });
  claimed(desired, 1);
  desired.facts.networks.set('t/n1', network(1));
  desired.facts.networks.set('t/n2', network(2));
  t.match(desired.settle().settlement.failures, [
    {
      derivation: 'net.rule',
      key: 't/n1',
      error: { code: 'pipeline.match', fix: /add eth_src to match of table 'forward'/ },
    },
  ]);
  t.equal(texts(desired, 'd1').length, pipeline.order.length + 1);
  t.throws(
    () => new DesiredTables({ pipeline, apps: [app('a', 0, () => {})] }),
    /id 0; take an integer from 1/,
  );
  t.throws(
    () => new DesiredTables({ pipeline, apps: [app('a', 1, () => {}), app('b', 1, () => {})] }),
    /id 1 is taken/,
  );
});

t.test('the reference is written from the declaration', async (t) => {
  const text = describePipeline(pipeline);
  for (const { name, id, description } of pipeline.order) {
    t.match(text, new RegExp(`\\| ${id} \\| \\[${name}\\]`));
    t.ok(text.includes(description));
  }
  t.match(text, /Matches: `in_port`, `vlan_vid`/);
  t.match(text, /Leads to: output, output \(resubmit\)/);
  t.match(text, /Miss: continue in output/);
  t.match(text, /`network` \| reg0\[0\.\.23\] \| the network/);
});
