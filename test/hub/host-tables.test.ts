/** Tables on their way to agents of hosts without OpenFlow. */
import t from 'tap';
import { type HostTable, MAX_TABLE_ROWS, type ParamsOf, type Peer, type ResultOf } from '../../rpc/index.js';
import type { TableRow } from '../../controller/model/facts.js';
import { TableDeliveries, type TableSource } from '../../controller/hub/host-tables.js';
import { waitFor } from '../support/wait-for.js';

type Sent = ParamsOf<typeof HostTable>;
type Answer = ResultOf<typeof HostTable>;

const endpoint = (name: string): TableRow => ({
  kind: 'endpoint',
  network: 1,
  endpoint: `acme/web/${name}`,
  mac: '02:02:0a:00:00:01',
  addresses: [],
  host: 'h1',
  interface: name,
});

class Rows implements TableSource {
  readonly rows = new Map<string, TableRow>();
  of = (): { key: string; row: TableRow }[] => [...this.rows].map(([key, row]) => ({ key, row }));
  find = (_: string, key: string): TableRow | undefined => this.rows.get(key);
}

/** An agent whose answers the test gives. */
class FakePeer {
  readonly sent: Sent[] = [];
  readonly closed = undefined;
  readonly #open: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = [];
  #onClose = (): void => {};
  call(_: unknown, params: Sent): Promise<Answer> {
    this.sent.push(structuredClone(params));
    return new Promise((resolve, reject) => this.#open.push({ resolve, reject }));
  }
  onClose(listener: () => void): void {
    this.#onClose = listener;
  }
  answer(refused: Answer['refused'] = []): void {
    this.#open.shift()?.resolve({ refused });
  }
  fail(): void {
    this.#open.shift()?.reject(new Error('the kernel refused'));
  }
  close(): void {
    this.#onClose();
  }
}

function begin() {
  const source = new Rows();
  const peer = new FakePeer();
  const troubles: string[] = [];
  const timers: (() => void)[] = [];
  const clock = { now: () => 0, after: (_: number, run: () => void) => (timers.push(run), () => {}) };
  const tables = new TableDeliveries(source, clock, (_, reason) => troubles.push(reason));
  return { source, peer, troubles, timers, tables, start: () => tables.start('h1', peer as unknown as Peer) };
}

t.test('whole after a registration, in parts; then what changes, once, as it is then', async (t) => {
  const { source, peer, tables, start } = begin();
  for (let i = 0; i < MAX_TABLE_ROWS + 1; i++) source.rows.set(`row ${i}`, endpoint(`e${i}`));
  start();
  await waitFor('it', () => peer.sent.length === 1);
  t.match(peer.sent[0], { revision: 1, whole: true, more: true });
  tables.changed('h1', ['row 0']);
  peer.answer();
  await waitFor('it', () => peer.sent.length === 2);
  t.match(peer.sent[1], { revision: 2, whole: false, more: false });
  t.equal(peer.sent[1]?.put.length, 1, 'the rest');
  source.rows.delete('row 0');
  tables.changed('h1', ['row 0']);
  for (let i = 0; i < 100; i++) {
    source.rows.set('row 1', endpoint(`changed${i}`));
    tables.changed('h1', ['row 1']);
  }
  peer.answer();
  await waitFor('it', () => peer.sent.length === 3);
  t.same(peer.sent[2]?.remove, ['row 0']);
  t.match(
    peer.sent[2]?.put,
    [{ key: 'row 1', row: { endpoint: 'acme/web/changed99' } }],
    '101 changes, one row',
  );
  peer.answer();
  t.match(await tables.acknowledged('h1'), { ok: true });
  t.equal(peer.sent.length, 3);
});

t.test('an answer is for what was told before it was asked for', async (t) => {
  const { source, peer, tables, start } = begin();
  start();
  await waitFor('it', () => peer.sent.length === 1);
  source.rows.set('row', endpoint('a'));
  tables.changed('h1', ['row']);
  let answered = false;
  const answer = tables.acknowledged('h1').then((value) => {
    answered = true;
    return value;
  });
  peer.answer();
  await waitFor('it', () => peer.sent.length === 2);
  t.notOk(answered, 'the first message does not have it');
  peer.answer([{ key: 'row', reason: 'no such thing here' }]);
  t.match(await answer, { ok: false, reason: 'refused', refused: [{ error: 'no such thing here' }] });
  t.equal(tables.refusalOf('h1', 'acme/web/a'), 'no such thing here');
  t.equal(tables.refusalOf('h1', 'acme/web/b'), undefined);
});

t.test('a failure is told and everything is sent again; one that goes away answers so', async (t) => {
  const { source, peer, tables, start, troubles, timers } = begin();
  source.rows.set('row', endpoint('a'));
  start();
  await waitFor('it', () => peer.sent.length === 1);
  const answer = tables.acknowledged('h1');
  peer.fail();
  await waitFor('it', () => timers.length === 1);
  t.same(troubles, ['the kernel refused']);
  tables.changed('h1', ['row']);
  t.equal(peer.sent.length, 1, 'not before its time');
  timers[0]?.();
  await waitFor('it', () => peer.sent.length === 2);
  t.match(peer.sent[1], { whole: true });
  peer.close();
  t.match(await answer, { ok: false, reason: 'disconnected' });
  t.match(await tables.acknowledged('h1'), { ok: false, reason: 'disconnected' });
});
