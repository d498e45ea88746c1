import t from 'tap';
import { Liveness } from '../../controller/multicast/liveness.js';
import { ManualClock } from './simulated-network.js';

function rig() {
  const clock = new ManualClock();
  const told: string[] = [];
  const onChange = (host: string, down: boolean) => void told.push(`${host} ${down ? 'down' : 'up'}`);
  const liveness = new Liveness({ startMs: 15_000, clock, onChange });
  for (const host of ['a', 'b', 'c', 'd']) liveness.claimed(host, `0${host}`);
  const up = (host: string) => {
    liveness.session(`0${host}`, true);
    liveness.agent(host, 'up');
  };
  return {
    liveness,
    clock,
    up,
    /** What was told since the last call. */
    told: () => told.splice(0),
  };
}

t.test('a host is down when its switch and its agent are both gone, and up when one is back', async (t) => {
  const { liveness, up, told } = rig();
  up('a');
  liveness.session('0a', false);
  t.strictSame(told(), [], 'its agent is there');
  liveness.agent('a', 'disconnected');
  t.strictSame(told(), ['a down'], 'a host that was heard of since the start');
  liveness.agent('a', 'down');
  t.strictSame(told(), []);
  liveness.session('0a', true);
  t.strictSame(told(), ['a up']);
  liveness.session('0a', false);
  liveness.agent('a', 'up');
  t.strictSame(told(), ['a down', 'a up']);
});

t.test(
  'a host that was not heard of is down when the time of a lease has passed since the start',
  async (t) => {
    const { liveness, clock, up, told } = rig();
    up('a');
    clock.advance(14_999);
    t.strictSame(told(), []);
    clock.advance(1);
    t.strictSame(told(), ['b down', 'c down', 'd down']);
    liveness.claimed('e', '0e');
    t.strictSame(told(), ['e down'], 'a host of the model whose switch never came');
    liveness.session('0e', true);
    t.strictSame(told(), ['e up']);
    liveness.removed('e');
    liveness.claimed('b', '0e');
    t.strictSame(told(), ['b up'], 'the switch is the one of another host now');
  },
);

t.test(
  'tunnels: a host is down when all who watch it, and are not down themselves, see it down',
  async (t) => {
    const { liveness, up, told } = rig();
    for (const host of ['a', 'b', 'c', 'd']) up(host);
    for (const watcher of ['b', 'c', 'd']) liveness.tunnel(watcher, 'a', true);
    liveness.tunnel('b', 'a', false);
    liveness.tunnel('c', 'a', false);
    t.strictSame(told(), [], 'one sees it');
    liveness.tunnel('d', 'a', undefined);
    t.strictSame(told(), ['a down'], 'who does not watch any more has no say');
    liveness.tunnel('c', 'a', true);
    t.strictSame(told(), ['a up']);
  },
);

t.test('a host whose own uplink is broken does not take its neighbours with it', async (t) => {
  const { liveness, up, told } = rig();
  for (const host of ['a', 'b', 'c', 'd']) up(host);
  // a is next to all others, c and d also to each other.
  const pairs = ['ab', 'ac', 'ad', 'cd'].flatMap((pair) => [pair, [...pair].reverse().join('')]);
  for (const [watcher = '', host = ''] of pairs.map((pair) => [...pair]))
    liveness.tunnel(watcher, host, true);
  for (const host of ['b', 'c', 'd']) liveness.tunnel('a', host, false);
  t.strictSame(told(), ['b down'], 'nobody else watches b');
  for (const watcher of ['b', 'c', 'd']) liveness.tunnel(watcher, 'a', false);
  t.strictSame(told(), ['a down', 'b up']);
});

t.test('a host that is deleted has no say, and nothing is told of it', async (t) => {
  const { liveness, clock, up, told } = rig();
  up('a');
  up('b');
  liveness.tunnel('a', 'b', false);
  t.strictSame(told(), ['b down']);
  liveness.removed('a');
  t.strictSame(told(), ['b up']);
  liveness.close();
  clock.advance(20_000);
  t.strictSame(told(), []);
});
