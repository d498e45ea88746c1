/** Whom hosts watch: neighbours in trees in use, and those that are down until they are up. */
import t from 'tap';
import { WatchedPeers } from '../../controller/multicast/watched-peers.js';
import type { DistributionFact, FactChange, HostFact, TreeColour } from '../../controller/model/facts.js';

type Edge = readonly [number, number];

const host = (number: number, more: Partial<HostFact> = {}): FactChange => ({
  kind: 'host',
  key: `h${number}`,
  value: { name: `h${number}`, number, vtepIpv4: 0x0afe0000 + number, ...more },
});

function distribution(sending: TreeColour | undefined, ...trees: (readonly Edge[])[]): DistributionFact {
  return {
    network: 7,
    trees: trees.map((edges, index) => ({ colour: (index + 1) as TreeColour, root: 1, edges })),
    ...(sending === undefined ? {} : { sending }),
  };
}

/** The peers of each host, kept by what `onChange` says alone. */
function start(hosts: readonly FactChange[]) {
  const told = new Map<string, readonly string[]>();
  let calls = 0;
  const watched = new WatchedPeers((name) => {
    calls += 1;
    told.set(
      name,
      watched.peers(name).map((peer) => peer.host),
    );
  });
  watched.facts(hosts);
  const settled = async () => {
    await Promise.resolve();
    return Object.fromEntries([...told].filter(([, peers]) => peers.length > 0).sort());
  };
  return { watched, settled, calls: () => calls };
}

t.test('neighbours in the tree in use watch each other, whatever is being prepared or left', async (t) => {
  const { watched, settled, calls } = start([1, 2, 3, 4].map((number) => host(number)));
  await settled();
  const before = calls();
  watched.distribution(
    '7',
    distribution(undefined, [
      [1, 2],
      [2, 3],
    ]),
  );
  t.strictSame(await settled(), {}, 'a tree that nobody uses yet');
  watched.distribution(
    '7',
    distribution(1, [
      [1, 2],
      [2, 3],
    ]),
  );
  t.strictSame(await settled(), { h1: ['h2'], h2: ['h1', 'h3'], h3: ['h2'] });
  t.equal(calls() - before, 3, 'each host is told once');
  watched.distribution(
    '9',
    distribution(1, [
      [1, 2],
      [1, 4],
    ]),
  );
  watched.distribution(
    '7',
    distribution(
      2,
      [
        [1, 2],
        [2, 3],
      ],
      [[1, 3]],
    ),
  );
  t.strictSame(await settled(), { h1: ['h2', 'h3', 'h4'], h2: ['h1'], h3: ['h1'], h4: ['h1'] });
  watched.distribution('9', undefined);
  t.strictSame(await settled(), { h1: ['h3'], h3: ['h1'] });
  watched.distribution('7', undefined);
  t.strictSame(await settled(), {});
});

t.test('addresses of a family that both have; none where there is none', async (t) => {
  const { watched, settled } = start([
    host(1, { vtepIpv6: 0xfd00_0000_0000_0000_0000_0000_0000_0001n }),
    host(2),
    { kind: 'host', key: 'h3', value: { name: 'h3', number: 3, vtepIpv6: 3n } },
  ]);
  watched.distribution(
    '7',
    distribution(1, [
      [1, 2],
      [1, 3],
      [2, 3],
    ]),
  );
  await settled();
  t.strictSame(watched.peers('h1'), [
    { host: 'h2', vtepIp: '10.254.0.2' },
    { host: 'h3', vtepIp: '::3' },
  ]);
  t.strictSame(watched.peers('h2'), [{ host: 'h1', vtepIp: '10.254.0.1' }]);
  watched.facts([host(2, { vtepIpv4: 1 })]);
  t.match(await settled(), { h1: ['h2', 'h3'] });
  t.match(watched.peers('h1'), [{ vtepIp: '0.0.0.1' }, {}]);
  watched.facts([{ kind: 'host', key: 'h2' }]);
  t.match(await settled(), { h1: ['h3'] });
  t.strictSame(watched.peers('nobody'), []);
});

t.test('a host that is down is in no tree, and watched until it is up', async (t) => {
  const { watched, settled } = start([1, 2, 3, 4].map((number) => host(number)));
  watched.distribution(
    '7',
    distribution(1, [
      [1, 2],
      [2, 3],
      [2, 4],
    ]),
  );
  watched.hostDown('h2', true);
  watched.distribution(
    '7',
    distribution(1, [
      [1, 3],
      [3, 4],
    ]),
  );
  t.strictSame(await settled(), {
    h1: ['h2', 'h3'],
    h2: ['h1', 'h3', 'h4'],
    h3: ['h1', 'h2', 'h4'],
    h4: ['h2', 'h3'],
  });
  watched.hostDown('h2', false);
  t.strictSame(await settled(), { h1: ['h3'], h3: ['h1', 'h4'], h4: ['h3'] });
  watched.distribution(
    '7',
    distribution(1, [
      [1, 2],
      [2, 3],
      [2, 4],
    ]),
  );
  watched.hostDown('h2', true);
  watched.distribution('7', undefined);
  watched.facts([{ kind: 'host', key: 'h2' }]);
  t.strictSame(await settled(), {}, 'a host that is deleted is not waited for');
  watched.hostDown('h2', false);
  t.strictSame(await settled(), {});
});

t.test('a host watches as many as the protocol allows', async (t) => {
  const numbers = Array.from({ length: 100 }, (_, index) => index + 1);
  const { watched } = start(numbers.map((number) => host(number)));
  watched.distribution(
    '7',
    distribution(
      1,
      numbers.slice(1).map((number) => [1, number] as const),
    ),
  );
  t.equal(watched.peers('h1').length, 64);
});
