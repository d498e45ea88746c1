/** What the demo shows, and what it takes from the example. */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Display, renderTable } from '../../topologies/demo/display.js';
import type { Cell, Member, Reachability } from '../../topologies/demo/reachability.js';
import { readScenario } from '../../topologies/demo/scenario.js';

const EXAMPLE = fileURLToPath(new URL('../../../examples/two-tenants.yaml', import.meta.url));

t.test('the example has what the demo is there to show', async (t) => {
  const { hosts, endpoints, routers } = readScenario(EXAMPLE);
  t.same(hosts, ['h1', 'h2', 'h3']);
  t.same(routers, [{ network: 'acme/storage', vlan: 11, address: '10.2.1.254/24' }]);
  const names = endpoints.map(({ tenant, network, name, host }) => `${tenant}/${network}/${name}@${host}`);
  for (const both of ['web/a@h1', 'web/b@h2']) {
    t.ok(names.includes(`acme/${both}`) && names.includes(`globex/${both}`), `two tenants have ${both}`);
  }
});

/** A reachability with the given cells, `from to` -> cell. */
function reachability(labels: readonly string[], cells: Readonly<Record<string, Cell>>): Reachability {
  const members = labels.map(
    (label, index) => ({ label, host: `h${index}`, address: `10.0.0.${index}` }) as Member,
  );
  const pairs = members.flatMap((from) =>
    members
      .filter((to) => to !== from)
      .map((to) => ({ from, to, wanted: true, cell: cells[`${from.label} ${to.label}`] ?? 'pending' })),
  );
  return { members, pairs: () => pairs } as unknown as Reachability;
}

t.test('the table: rows ping columns', async (t) => {
  const lines = renderTable(reachability(['a', 'bb'], { 'a bb': 'reached', 'bb a': 'leaked' }));
  t.same(lines.slice(0, 3), [
    `${' '.repeat(20)}  1  2`,
    '  1 a   10.0.0.0  h0  -  ✓',
    '  2 bb  10.0.0.1  h1  !  -',
  ]);
  t.same(renderTable(reachability([], {})), []);
});

t.test('on a terminal the table is redrawn in place, elsewhere it is written once', async (t) => {
  const written = (live: boolean): string => {
    let text = '';
    const stream = { write: (part: string) => (text += part) } as unknown as NodeJS.WriteStream;
    const display = new Display(stream, live);
    display.table(['one', 'two']);
    display.step('something happened');
    display.table(['one', 'TWO'], true);
    return text.replaceAll(/\d+\.\d s/g, 'T s');
  };
  t.equal(written(false), '  T s  something happened\n\none\nTWO\n\n');
  const live = written(true);
  t.equal(live.split('\u001B[3A\u001B[J').length - 1, 2, 'two times the three lines are taken back');
  t.ok(live.endsWith('\none\nTWO\n'));
});
