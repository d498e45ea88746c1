/** The OVSDB client against a real ovsdb-server with the schema of Open vSwitch. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  expectRow,
  increment,
  insert,
  mutateReferences,
  namedUuid,
  OvsdbClient,
  setKeys,
  update,
  type RowChange,
} from '../../agent/ovsdb/index.js';
import { Bridge, Interface, OpenVSwitch, Port, TABLES } from '../../agent/drivers/ovs-schema.js';
import { Daemon, exec, until } from '../../topologies/lab/index.js';

class Server {
  private daemon: Daemon | undefined;
  readonly remote: string;
  tcp = '';
  constructor(private readonly directory: string) {
    this.remote = `unix:${directory}/db.sock`;
  }

  async start(): Promise<void> {
    const database = join(this.directory, 'conf.db');
    const schema = '/usr/share/openvswitch/vswitch.ovsschema';
    if (!existsSync(database)) await exec(['ovsdb-tool', 'create', database, schema]);
    const argv = ['ovsdb-server', database, `--remote=p${this.remote}`, '--remote=ptcp:0:127.0.0.1'];
    argv.push(`--unixctl=${this.directory}/ctl`, '--no-chdir', '-vconsole:info');
    this.daemon = Daemon.start('ovsdb-server', argv, { logFile: join(this.directory, 'log') });
    this.tcp = await until('the port', () => {
      const port = [...(this.daemon?.log() ?? '').matchAll(/0:127\.0\.0\.1: listening on port (\d+)/g)].at(
        -1,
      )?.[1];
      return port === undefined ? undefined : `tcp:127.0.0.1:${port}`;
    });
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.daemon?.stop(signal);
    rmSync(join(this.directory, 'log'), { force: true });
  }

  signal(signal: NodeJS.Signals): void {
    this.daemon?.kill(signal);
  }
}

async function start(t: Test): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), 'ovsdb-'));
  const server = new Server(directory);
  t.teardown(async () => {
    await server.stop('SIGKILL');
    rmSync(directory, { recursive: true });
  });
  await server.start();
  return server;
}

function connect(t: Test, remote: string, options: object = {}): OvsdbClient {
  const client = new OvsdbClient({
    remote,
    tables: TABLES,
    reconnectMs: { first: 10, longest: 100 },
    ...options,
  });
  t.teardown(() => client.close());
  return client;
}

async function createRoot(client: OvsdbClient): Promise<string> {
  await client.transact([insert(OpenVSwitch, {})]);
  return await client.waitFor('the root', () => [...client.rows(OpenVSwitch).keys()][0], 2_000);
}

t.test('transactions, the copy, conditions, locks; two clients over unix and TCP', async (t) => {
  const server = await start(t);
  const client = connect(t, server.remote);
  const other = connect(t, server.tcp);
  await Promise.all([client.ready(), other.ready()]);
  t.ok((await client.listDatabases()).includes('Open_vSwitch'));
  await t.resolves(client.echo());
  const root = await createRoot(client);

  const makeBridge = (name: string) => [
    insert(Interface, { name, type: 'internal', options: new Map([['a', '1']]) }, 'i'),
    insert(Port, { name, interfaces: [namedUuid('i')] }, 'p'),
    insert(
      Bridge,
      { name, ports: [namedUuid('p')], other_config: new Map([['k', 'v']]), protocols: ['OpenFlow13'] },
      'b',
    ),
    mutateReferences(OpenVSwitch, root, 'bridges', 'insert', [namedUuid('b')]),
    increment(OpenVSwitch, 'next_cfg'),
  ];
  await client.transact(makeBridge('br0'));
  const seen = await other.waitFor(
    'br0 at the other client',
    () => other.find(Bridge, (row) => row.name === 'br0'),
    2_000,
  );
  t.match(seen.row, { protocols: ['OpenFlow13'], datapath_id: undefined, fail_mode: undefined });
  t.same(seen.row.other_config, new Map([['k', 'v']]));
  t.equal(client.rows(OpenVSwitch).get(root)?.next_cfg, 1);

  const changes: RowChange[] = [];
  other.onChange((more) => changes.push(...more));
  await client.transact([
    setKeys(Bridge, seen.uuid, 'other_config', { k: 'w', another: 'x' }),
    update(Bridge, seen.uuid, { fail_mode: 'secure' }),
  ]);
  await other.waitFor('the change', () => other.rows(Bridge).get(seen.uuid)?.fail_mode, 2_000);
  t.same(
    other.rows(Bridge).get(seen.uuid)?.other_config,
    new Map([
      ['k', 'w'],
      ['another', 'x'],
    ]),
  );
  t.match(changes, [{ table: 'Bridge', uuid: seen.uuid, before: { fail_mode: undefined } }]);

  await t.rejects(
    client.transact([
      expectRow(Bridge, seen.uuid, { fail_mode: 'standalone' }),
      update(Bridge, seen.uuid, { fail_mode: undefined }),
    ]),
    {
      code: 'ovsdb.transaction',
      operation: 0,
    },
  );
  await t.rejects(
    client.transact([
      update(Bridge, seen.uuid, { fail_mode: undefined }),
      mutateReferences(OpenVSwitch, root, 'bridges', 'insert', ['00000000-0000-4000-8000-000000000001']),
    ]),
    {
      code: 'ovsdb.transaction',
    },
  );
  t.equal(
    client.rows(Bridge).get(seen.uuid)?.fail_mode,
    'secure',
    'nothing of a failed transaction happened',
  );

  t.equal(await client.lock('weft'), true);
  t.equal(await other.lock('weft'), false, 'queued');
  const given = new Promise<[string, boolean]>((resolve) => other.onLock((...event) => resolve(event)));
  await client.unlock('weft');
  t.same(await given, ['weft', true]);

  await client.transact([mutateReferences(OpenVSwitch, root, 'bridges', 'delete', [seen.uuid])]);
  await other.waitFor('the deletion', () => (other.rows(Port).size === 0 ? true : undefined), 2_000);
  t.equal(other.rows(Interface).size, 0, 'rows that nothing refers to are collected');
});

t.test('a server that restarts, hangs, or comes back empty', async (t) => {
  const server = await start(t);
  const client = connect(t, server.remote, { probeIntervalMs: 100 });
  await client.ready();
  const root = await createRoot(client);
  await server.stop();
  await client.waitFor('the loss', () => (client.state === 'connecting' ? true : undefined), 2_000);
  t.ok(client.rows(OpenVSwitch).has(root), 'the copy is kept meanwhile');
  await t.rejects(client.transact([]), { code: 'ovsdb.closed' });
  await server.start();
  await client.ready();
  t.ok(client.rows(OpenVSwitch).has(root));

  server.signal('SIGSTOP');
  await client.waitFor('the probe', () => (client.state === 'connecting' ? true : undefined), 5_000);
  server.signal('SIGCONT');
  await client.ready();

  await server.stop();
  rmSync(join(server.remote.slice('unix:'.length), '..', 'conf.db'));
  await server.start();
  await client.waitFor(
    'the empty database',
    () => (client.state === 'ready' && client.rows(OpenVSwitch).size === 0 ? true : undefined),
    5_000,
  );
});

t.test('a first update of thousands of rows arrives whole', async (t) => {
  const server = await start(t);
  const client = connect(t, server.remote);
  await client.ready();
  const root = await createRoot(client);
  const ROWS = 3_000;
  const operations = Array.from({ length: ROWS }, (_, index) => [
    insert(
      Interface,
      { name: `v${index}`, external_ids: new Map([['iface-id', `tenant/network/é"}{${index}`]]) },
      `i${index}`,
    ),
    insert(Port, { name: `v${index}`, interfaces: [namedUuid(`i${index}`)] }, `p${index}`),
  ]).flat();
  const ports = Array.from({ length: ROWS }, (_, index) => namedUuid(`p${index}`));
  await client.transact([
    ...operations,
    insert(Bridge, { name: 'br0', ports }, 'b'),
    mutateReferences(OpenVSwitch, root, 'bridges', 'insert', [namedUuid('b')]),
  ]);
  const late = connect(t, server.remote);
  await late.ready();
  t.equal(late.rows(Interface).size, ROWS);
  t.equal(
    late.find(Interface, (row) => row.name === 'v2999')?.row.external_ids.get('iface-id'),
    'tenant/network/é"}{2999',
  );
  t.equal(late.find(Bridge, () => true)?.row.ports.length, ROWS);
});
