/** The OVSDB client against servers of ours that misbehave; the real one is in test/system/agent-ovsdb.test.ts. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import {
  applyDifference,
  decodeValue,
  defineTable,
  encodeRow,
  insert,
  JsonSplitter,
  namedUuid,
  OvsdbClient,
  parseRemote,
  Replica,
  setKeys,
  type RowChange,
} from '../../agent/ovsdb/index.js';

const Thing = defineTable('Thing', {
  name: 'string',
  count: 'integer?',
  parts: 'uuids',
  tags: 'strings',
  ids: 'map',
});
const UUID = ['a', 'b', 'c'].map((letter) => `${letter.repeat(8)}-0000-4000-8000-000000000000`);

t.test('the splitter finds the same messages however the bytes are cut', async (t) => {
  const messages = [
    { id: 1, result: [{ text: 'braces }{ "quoted\\" and é 漢' }], error: null },
    {},
    { nested: { a: { b: [1, 2, { c: '{' }] } } },
  ];
  const bytes = Buffer.from(messages.map((message) => JSON.stringify(message)).join(' \r\n\t'));
  for (let cut = 0; cut <= bytes.length; cut++) {
    const splitter = new JsonSplitter(1_000);
    t.same([...splitter.push(bytes.subarray(0, cut)), ...splitter.push(bytes.subarray(cut))], messages);
  }
  const bytewise = new JsonSplitter(1_000);
  t.same(
    [...bytes].flatMap((byte) => bytewise.push(Uint8Array.of(byte))),
    messages,
  );
  fc.assert(
    fc.property(
      fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 5 }),
      fc.array(fc.nat(200), { maxLength: 8 }),
      (objects, cuts) => {
        const stream = Buffer.from(objects.map((object) => JSON.stringify(object)).join(''));
        const ends = [...cuts.map((cut) => Math.min(cut, stream.length)), stream.length].sort(
          (a, b) => a - b,
        );
        const splitter = new JsonSplitter(1_000_000);
        let start = 0;
        const found = ends.flatMap((end) => {
          const part = stream.subarray(start, end);
          start = end;
          return splitter.push(part);
        });
        return JSON.stringify(found) === JSON.stringify(objects);
      },
    ),
  );
});

t.test('the splitter does not keep the bytes of a reused buffer', async (t) => {
  const splitter = new JsonSplitter(100);
  const buffer = Buffer.from('{"a":');
  splitter.push(buffer);
  buffer.fill(0x20);
  t.same(splitter.push(Buffer.from('1}')), [{ a: 1 }]);
});

t.test('the splitter refuses garbage, bad JSON and messages without end', async (t) => {
  const push = (text: string, limit = 100): unknown => new JsonSplitter(limit).push(Buffer.from(text));
  t.throws(() => push('GET / HTTP/1.1'), { code: 'ovsdb.protocol', message: /byte 0x47/ });
  t.throws(() => push('{} }'), { code: 'ovsdb.protocol' });
  t.throws(() => push('{not json}'), { code: 'ovsdb.protocol', message: /no JSON: \{not json\}/ });
  t.throws(() => push(`{"a":"${'x'.repeat(200)}"}`), {
    code: 'ovsdb.protocol',
    message: /more than 100 bytes/,
  });
  const endless = new JsonSplitter(100);
  t.throws(() => {
    for (let round = 0; round < 200; round++) endless.push(Buffer.from('{'));
  }, /more than 100 bytes/);
  t.equal((push(`{"a":"${'x'.repeat(92)}"}`) as unknown[]).length, 1, 'exactly at the limit');
});

t.test('remotes', async (t) => {
  t.same(parseRemote('unix:/run/db.sock'), { path: '/run/db.sock' });
  t.same(parseRemote('tcp:[fd00::1]:6640'), { host: 'fd00::1', port: 6640 });
  for (const remote of [
    '',
    'unix:',
    'tcp:1.2.3.4',
    'tcp:1.2.3.4:0',
    'tcp:1.2.3.4:70000',
    'ssl:1.2.3.4:1',
    '/a',
  ]) {
    t.throws(() => parseRemote(remote), { code: 'ovsdb.remote.invalid', fix: /unix:/ }, remote);
  }
});

t.test('values, both ways', async (t) => {
  t.same(
    encodeRow(Thing, { name: 'n', count: undefined, parts: [UUID[0]!, namedUuid('new one')], tags: [] }),
    {
      name: 'n',
      count: ['set', []],
      parts: [
        'set',
        [
          ['uuid', UUID[0]],
          ['named-uuid', 'weft_row_new_one'],
        ],
      ],
      tags: ['set', []],
    },
  );
  t.same(decodeValue('uuids', ['uuid', UUID[0]]), [UUID[0]], 'a set of one comes as the bare atom');
  t.same(decodeValue('integer?', ['set', []]), undefined);
  t.same(decodeValue('strings', ['set', ['a', 'b']]), ['a', 'b']);
  t.same(decodeValue('map', ['map', [['k', 'v']]]), new Map([['k', 'v']]));
  t.throws(() => decodeValue('map', 'x'), { code: 'ovsdb.protocol' });
  t.throws(() => decodeValue('string', { a: 1 }), { code: 'ovsdb.protocol' });
  t.same(setKeys(Thing, UUID[0]!, 'ids', { k: 'v' }), {
    op: 'mutate',
    table: 'Thing',
    where: [['_uuid', '==', ['uuid', UUID[0]]]],
    mutations: [
      ['ids', 'delete', ['set', ['k']]],
      ['ids', 'insert', ['map', [['k', 'v']]]],
    ],
  });
  t.throws(() => insert(Thing, { colour: 'red' } as never), {
    code: 'ovsdb.schema',
    message: /no column colour/,
  });
});

t.test('maps from integers to rows', async (t) => {
  const queues = new Map([
    [0, UUID[0]!],
    [5, UUID[1]!],
  ]);
  const wire = [
    'map',
    [
      [0, ['uuid', UUID[0]]],
      [5, ['uuid', UUID[1]]],
    ],
  ];
  t.same(encodeRow(defineTable('QoS', { queues: 'numberedUuids' }), { queues }), { queues: wire });
  t.same(decodeValue('numberedUuids', wire), queues);
  t.same(decodeValue('numberedUuids', ['map', []]), new Map());
  const difference = [
    'map',
    [
      [0, ['uuid', UUID[0]]],
      [5, ['uuid', UUID[2]]],
      [7, ['uuid', UUID[0]]],
    ],
  ];
  t.same(
    applyDifference('numberedUuids', queues, difference),
    new Map([
      [5, UUID[2]],
      [7, UUID[0]],
    ]),
  );
});

t.test('update2 differences and update rows give the same copy', async (t) => {
  t.same(
    applyDifference(
      'uuids',
      [UUID[0]!, UUID[1]!],
      [
        'set',
        [
          ['uuid', UUID[1]],
          ['uuid', UUID[2]],
        ],
      ],
    ),
    [UUID[0], UUID[2]],
  );
  t.same(
    applyDifference(
      'map',
      new Map([
        ['a', '1'],
        ['b', '2'],
        ['c', '3'],
      ]),
      [
        'map',
        [
          ['a', '1'],
          ['b', '9'],
          ['d', '4'],
        ],
      ],
    ),
    new Map([
      ['b', '9'],
      ['c', '3'],
      ['d', '4'],
    ]),
    'the same value deletes, another changes, a new key comes',
  );
  const tables = new Map([['Thing', Thing]]);
  const conditional = new Replica(tables);
  conditional.apply({ Thing: { x: { initial: { name: 'n', tags: ['set', ['a']] } } } });
  conditional.apply({ Thing: { x: { modify: { count: 4, tags: ['set', ['a', 'b']] } } } });
  const plain = new Replica(tables);
  plain.apply({
    Thing: { x: { new: { name: 'n', count: ['set', []], parts: ['set', []], tags: 'a', ids: ['map', []] } } },
  });
  plain.apply({ Thing: { x: { old: { count: ['set', []] }, new: { name: 'n', count: 4, tags: 'b' } } } });
  t.same(conditional.table('Thing'), plain.table('Thing'));
  t.same(conditional.apply({ Thing: { x: { delete: null } } })[0]?.after, undefined);
  t.same(plain.apply({ Thing: { x: { old: { name: 'n' } } } })[0]?.after, undefined);
  t.equal(plain.table('Thing').size, 0);
  t.throws(() => plain.apply({ Thing: { y: { modify: { count: 1 } } } }), { code: 'ovsdb.protocol' });
  t.throws(() => plain.apply({ Other: { y: { insert: {} } } }), { code: 'ovsdb.protocol' });
});

/** A server that answers as the test says. Its `database` is what `monitor` gives. */
class FakeServer {
  readonly requests: { method: string; params: unknown[]; id: unknown }[] = [];
  readonly sockets = new Set<Socket>();
  database: Record<string, unknown> = {};
  answer: (method: string, params: unknown[]) => unknown = () => ({});
  /** Sent in the same segment as the answer to `monitor`. */
  afterMonitor: unknown;
  silent = false;
  conditional = true;
  private constructor(readonly remote: string) {}

  static async start(t: Test): Promise<FakeServer> {
    const directory = mkdtempSync(join(tmpdir(), 'ovsdb-'));
    const server = createServer();
    const fake = new FakeServer(`unix:${directory}/s`);
    server.on('connection', (socket) => fake.serve(socket));
    server.listen(`${directory}/s`);
    await once(server, 'listening');
    t.teardown(() => {
      for (const socket of fake.sockets) socket.destroy();
      server.close();
      rmSync(directory, { recursive: true });
    });
    return fake;
  }

  send(message: unknown): void {
    for (const socket of this.sockets) socket.write(JSON.stringify(message));
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => {});
    const splitter = new JsonSplitter(1_000_000);
    socket.on('data', (chunk: Buffer) => {
      for (const message of splitter.push(chunk) as { method: string; params: unknown[]; id: unknown }[]) {
        this.requests.push(message);
        if (message.method !== undefined && !this.silent) this.reply(socket, message);
      }
    });
  }

  private reply(
    socket: Socket,
    { method, params, id }: { method: string; params: unknown[]; id: unknown },
  ): void {
    const columns = Object.fromEntries(Object.keys(Thing.columns).map((column) => [column, {}]));
    let result: unknown;
    let error: unknown = null;
    if (method === 'get_schema') result = { tables: { Thing: { columns } } };
    else if (method === 'monitor_cond' && !this.conditional) error = { error: 'unknown method' };
    else if (method.startsWith('monitor')) result = this.database;
    else if (method === 'echo') result = params;
    else result = this.answer(method, params);
    const after = method.startsWith('monitor') && this.afterMonitor ? JSON.stringify(this.afterMonitor) : '';
    socket.write(JSON.stringify({ id, result, error }) + after);
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 2_000; !condition(); ) {
    if (Date.now() > deadline) throw new Error('waited for two seconds');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function connect(t: Test, server: FakeServer, options: object = {}): OvsdbClient {
  const client = new OvsdbClient({
    remote: server.remote,
    tables: [Thing],
    reconnectMs: { first: 5, longest: 20 },
    ...options,
  });
  t.teardown(() => client.close());
  return client;
}

t.test('monitor falls back to RFC 7047 where monitor_cond is unknown', async (t) => {
  const server = await FakeServer.start(t);
  server.conditional = false;
  server.database = {
    Thing: { [UUID[0]!]: { new: { name: 'n', count: 1, parts: ['set', []], tags: 'x', ids: ['map', []] } } },
  };
  const client = connect(t, server);
  await client.ready();
  t.match(
    client.find(Thing, (row) => row.name === 'n'),
    { uuid: UUID[0], row: { count: 1, tags: ['x'] } },
  );
});

t.test('an update in one chunk with the answer to monitor is not lost', async (t) => {
  const server = await FakeServer.start(t);
  server.database = { Thing: { [UUID[0]!]: { initial: { name: 'n' } } } };
  server.afterMonitor = {
    id: null,
    method: 'update2',
    params: ['weft', { Thing: { [UUID[0]!]: { modify: { count: 7 } } } }],
  };
  const client = connect(t, server);
  await client.ready();
  t.equal(await client.waitFor('count', () => client.rows(Thing).get(UUID[0]!)?.count, 1_000), 7);
});

t.test('an empty database after a reconnection shows as deletions', async (t) => {
  const server = await FakeServer.start(t);
  server.database = {
    Thing: {
      [UUID[0]!]: { initial: { name: 'gone' } },
      [UUID[1]!]: { initial: { name: 'kept', tags: ['set', ['b', 'a']] } },
    },
  };
  const client = connect(t, server);
  await client.ready();
  const changes: RowChange[] = [];
  const states: string[] = [];
  client.onChange((more) => changes.push(...more));
  client.onState((state) => states.push(state));
  server.database = { Thing: { [UUID[1]!]: { initial: { name: 'kept', tags: ['set', ['a', 'b']] } } } };
  for (const socket of server.sockets) socket.destroy();
  await client.waitFor('the deletion', () => (client.rows(Thing).size === 1 ? true : undefined), 2_000);
  t.same(states, ['connecting', 'ready']);
  t.match(changes, [{ uuid: UUID[0], after: undefined }]);
  t.equal(changes.length, 1, 'a row that is the same in another order is no change');
});

t.test(
  'requests end with an error when the connection does, in time when the server is silent',
  async (t) => {
    const server = await FakeServer.start(t);
    const client = connect(t, server, { requestTimeoutMs: 50 });
    await client.ready();
    server.silent = true;
    await t.rejects(client.transact([]), { code: 'ovsdb.timeout' });
    const waiting = client.transact([]);
    for (const socket of server.sockets) socket.destroy();
    await t.rejects(waiting, { code: 'ovsdb.closed' });
    await t.rejects(client.transact([]), { code: 'ovsdb.closed' });
  },
);

t.test('a silent server is probed and left; one that probes is answered', async (t) => {
  const server = await FakeServer.start(t);
  const client = connect(t, server, { probeIntervalMs: 30 });
  await client.ready();
  server.send({ method: 'echo', params: ['x'], id: 'probe' });
  await until(() => server.requests.some((message) => message.id === 'probe'));
  t.pass('the echo of the server was answered');
  await until(() => server.requests.some((message) => message.method === 'echo'));
  t.pass('the server was probed');
  server.silent = true;
  await client.waitFor('the end', () => (client.state === 'connecting' ? true : undefined), 2_000);
  server.silent = false;
  await client.ready(2_000);
});

t.test('garbage ends the connection and the client comes back', async (t) => {
  const server = await FakeServer.start(t);
  const client = connect(t, server, { maxMessageBytes: 2_000 });
  await client.ready();
  for (const junk of [
    'nonsense',
    '{"id":null,"method":"update2","params":["weft",{"Nowhere":{"x":{}}}]}',
    `{"a":"${'x'.repeat(3_000)}"}`,
  ]) {
    const [socket] = server.sockets;
    socket?.write(junk);
    await client.waitFor('the end', () => (client.state === 'connecting' ? true : undefined), 2_000);
    await client.ready(2_000);
    t.pass(junk.slice(0, 20));
  }
});

t.test('a failed operation is named', async (t) => {
  const server = await FakeServer.start(t);
  const client = connect(t, server);
  await client.ready();
  server.answer = () => [
    { uuid: ['uuid', UUID[0]] },
    { error: 'constraint violation', details: 'no such port' },
    null,
  ];
  await t.rejects(client.transact([insert(Thing, {}), insert(Thing, {}), insert(Thing, {})]), {
    code: 'ovsdb.transaction',
    operation: 1,
    message: 'insert Thing: constraint violation: no such port',
  });
  server.answer = () => [{}, { error: 'referential integrity violation', details: 'at commit' }];
  await t.rejects(client.transact([insert(Thing, {})]), { message: /^the commit: referential/ });
});

t.test('a server without the needed columns is said by name', async (t) => {
  const server = await FakeServer.start(t);
  const Wrong = defineTable('Thing', { nosuch: 'string' });
  const client = new OvsdbClient({
    remote: server.remote,
    tables: [Wrong],
    reconnectMs: { first: 5, longest: 5 },
  });
  t.teardown(() => client.close());
  await t.rejects(client.ready(100), { code: 'ovsdb.timeout' });
  await t.rejects(client.ready(50), { message: /has no nosuch/ });
});

t.test('nobody there: the client keeps trying until closed', async (t) => {
  const client = new OvsdbClient({
    remote: 'unix:/nonexistent/socket',
    tables: [Thing],
    reconnectMs: { first: 5, longest: 5 },
  });
  const waiting = client.ready(5_000);
  client.close();
  await t.rejects(waiting, { code: 'ovsdb.closed' });
  t.equal(client.state, 'closed');
});
