import t from 'tap';
import type { DistributionFact } from '../../controller/model/facts.js';
import { endpointChange, hostFact, NETWORK, PlannerRig, range, treeMembers } from './planner-rig.js';

const shape = (fact: DistributionFact | undefined): string =>
  fact === undefined
    ? 'none'
    : `${fact.trees.map(({ colour }) => colour).join('+')} sending ${fact.sending ?? 'none'}`;

t.test(
  'up to the limit senders replicate; above it there is a tree, prepared before it is used',
  async (t) => {
    const rig = new PlannerRig(20);
    rig.join(...range(1, 8));
    await rig.quiet();
    t.strictSame(rig.writes.map(shape), ['none'], 'eight hosts need none');
    rig.join(9);
    await rig.turn();
    t.equal(shape(rig.fact), '1 sending none', 'relays first');
    rig.network.takeAll();
    await rig.turn();
    t.equal(shape(rig.fact), '1 sending 1');
    await rig.quiet();
    t.equal(shape(rig.fact), '1 sending 1');
    t.strictSame(treeMembers(rig.fact), range(1, 9));
  },
);

t.test('senders do not use a tree before the last of its hosts has acknowledged', async (t) => {
  const rig = new PlannerRig(20);
  rig.join(...range(1, 10));
  await rig.turn();
  for (const host of range(1, 9)) {
    rig.network.take(host);
    await rig.turn();
    t.equal(shape(rig.fact), '1 sending none');
  }
  rig.network.take(10);
  await rig.turn();
  t.equal(shape(rig.fact), '1 sending 1');
});

t.test(
  'one tree becomes another in steps, and relays go a second after the last sender left them',
  async (t) => {
    const rig = new PlannerRig(20);
    rig.join(...range(1, 10));
    await rig.quiet();
    rig.writes.length = 0;
    rig.join(11);
    await rig.turn();
    rig.network.takeAll();
    await rig.turn();
    t.strictSame(rig.writes.map(shape), ['1+2 sending 1', '1+2 sending 2']);
    rig.clock.advance(900);
    await rig.turn();
    t.equal(shape(rig.fact), '1+2 sending 2', 'one sender is still to answer');
    rig.network.takeAll();
    await rig.turn();
    rig.clock.advance(999);
    await rig.turn();
    t.equal(shape(rig.fact), '1+2 sending 2', 'packets may be on their way');
    rig.clock.advance(1);
    await rig.turn();
    t.equal(shape(rig.fact), '2 sending 2');
  },
);

t.test('what changes during a change is taken up together, in one more', async (t) => {
  const rig = new PlannerRig(40);
  rig.join(...range(1, 10));
  await rig.quiet();
  rig.writes.length = 0;
  for (const host of range(11, 30)) {
    rig.join(host);
    await rig.turn();
  }
  await rig.quiet();
  t.equal(
    rig.writes.map(shape).join(', '),
    '1+2 sending 1, 1+2 sending 2, 2 sending 2, 2+3 sending 2, 2+3 sending 3, 3 sending 3',
  );
  t.strictSame(treeMembers(rig.fact), range(1, 30));
});

t.test('a set at the limit does not go to and fro', async (t) => {
  const rig = new PlannerRig(20);
  rig.join(...range(1, 9));
  await rig.quiet();
  const changes = () => new Set(rig.writes.map((fact) => fact?.sending !== undefined)).size;
  rig.writes.length = 0;
  for (let round = 0; round < 3; round++) {
    rig.leave(9);
    await rig.quiet();
    rig.join(9);
    await rig.quiet();
  }
  t.equal(changes(), 1, 'the tree stays at eight');
  rig.leave(9, 8, 7);
  await rig.turn();
  t.equal(shape(rig.fact).slice(1), ' sending none', 'replication begins');
  await rig.quiet();
  t.equal(rig.fact, undefined, 'and the relays go');
});

t.test('a host that goes down is left out at once, even while another change is under way', async (t) => {
  const rig = new PlannerRig(30);
  rig.join(...range(1, 20));
  await rig.quiet();
  rig.join(21);
  await rig.turn();
  t.equal(shape(rig.fact), '1+2 sending 1');
  rig.network.setAlive(5, false);
  rig.planner.hostDown('h5', true);
  await rig.turn();
  t.equal(
    shape(rig.fact),
    '1+3 sending 1',
    'the tree that was prepared is given up: nobody has sent over it',
  );
  rig.network.takeAll();
  await rig.turn();
  t.equal(shape(rig.fact), '1+3 sending 3');
  t.strictSame(
    treeMembers(rig.fact),
    range(1, 21).filter((host) => host !== 5),
  );
  rig.network.setAlive(6, false);
  rig.planner.hostDown('h6', true);
  await rig.turn();
  t.equal(shape(rig.fact), '1+2+3 sending 3', 'a second one does not wait for the relays of the first to go');
  rig.network.takeAll();
  await rig.turn();
  t.equal(shape(rig.fact), '1+2+3 sending 2');
  await rig.quiet();
  t.equal(shape(rig.fact), '2 sending 2');
  rig.network.setAlive(5, true);
  rig.planner.hostDown('h5', false);
  await rig.quiet();
  t.strictSame(
    treeMembers(rig.fact),
    range(1, 21).filter((host) => host !== 6),
  );
});

t.test(
  'a switch that does not acknowledge is left out after three seconds, and taken in when it does',
  async (t) => {
    const rig = new PlannerRig(20);
    rig.join(...range(1, 10));
    await rig.quiet();
    rig.network.connect(4, false);
    rig.join(11);
    await rig.turn();
    rig.network.takeAll();
    await rig.turn();
    rig.clock.advance(2_999);
    await rig.turn();
    t.equal(shape(rig.fact), '1+2 sending 1');
    rig.clock.advance(1);
    await rig.quiet();
    t.strictSame(
      treeMembers(rig.fact),
      range(1, 11).filter((host) => host !== 4),
    );
    t.match(rig.warnings, [/switch of host h4 does not acknowledge/]);
    rig.network.connect(4, true);
    await rig.quiet();
    t.strictSame(treeMembers(rig.fact), range(1, 11));
  },
);

t.test('a host that has left and does not acknowledge does not hold up the change', async (t) => {
  const rig = new PlannerRig(20);
  rig.join(...range(1, 12));
  await rig.quiet();
  rig.leave(5);
  await rig.turn();
  rig.network.connect(2, false);
  rig.leave(2);
  await rig.quiet();
  t.strictSame(treeMembers(rig.fact), [1, 3, 4, ...range(6, 12)]);
  rig.leave(1);
  await rig.turn();
  rig.leave(3);
  rig.removeHost(3);
  await rig.quiet();
  t.strictSame(treeMembers(rig.fact), [4, ...range(6, 12)], 'nor does one that is deleted');
});

t.test('a colour that may still be on its way is not used again, whatever fails', async (t) => {
  const rig = new PlannerRig(30);
  rig.join(...range(1, 20));
  await rig.quiet();
  const fail = async (host: number) => {
    rig.network.setAlive(host, false);
    rig.planner.hostDown(`h${host}`, true);
    await rig.turn();
    rig.network.takeAll();
    await rig.turn();
    return shape(rig.fact);
  };
  t.equal(await fail(5), '1+2 sending 2');
  t.equal(await fail(6), '1+2+3 sending 3');
  t.equal(await fail(7), '1+2+3 sending 3', 'packets may be on their way over all three');
  rig.clock.advance(1_000);
  await rig.turn();
  t.equal(shape(rig.fact), '3 sending 3', 'their relays go');
  rig.network.takeAll();
  await rig.turn();
  t.match(shape(rig.fact), /sending 3/, 'and are gone');
  rig.network.takeAll();
  await rig.turn();
  t.strictSame(
    treeMembers(rig.fact),
    range(1, 20).filter((host) => ![5, 6, 7].includes(host)),
  );
});

t.test('a host that is up again is taken in when its switch has acknowledged', async (t) => {
  const rig = new PlannerRig(20);
  rig.join(...range(1, 12));
  await rig.quiet();
  rig.network.connect(5, false);
  rig.planner.hostDown('h5', true);
  await rig.quiet();
  const without = treeMembers(rig.fact);
  rig.planner.hostDown('h5', false);
  await rig.quiet();
  t.strictSame(treeMembers(rig.fact), without, 'its agent is back, its switch may hold what it will');
  rig.network.connect(5, true);
  await rig.quiet();
  t.strictSame(treeMembers(rig.fact), range(1, 12));
});

t.test('a controller that is cut off from all hosts changes nothing before they are back', async (t) => {
  const rig = new PlannerRig(12);
  rig.join(...range(1, 12));
  await rig.quiet();
  const before = rig.fact;
  for (const host of range(1, 12)) {
    rig.network.connect(host, false);
    rig.planner.hostDown(`h${host}`, true);
  }
  await rig.quiet();
  t.strictSame(rig.fact, before);
  for (const host of range(1, 11)) {
    rig.network.connect(host, true);
    rig.planner.hostDown(`h${host}`, false);
    await rig.turn();
    rig.network.takeAll();
    await rig.turn();
    t.strictSame(rig.fact, before);
  }
  rig.clock.advance(14_999);
  await rig.turn();
  t.strictSame(rig.fact, before, 'the last one has the time of a lease');
  rig.clock.advance(1);
  await rig.quiet();
  t.strictSame(treeMembers(rig.fact), range(1, 11));
  rig.network.connect(12, true);
  rig.planner.hostDown('h12', false);
  await rig.quiet();
  t.strictSame(treeMembers(rig.fact), range(1, 12));
});

t.test('after a start switches have the time of a lease to come back', async (t) => {
  const rig = new PlannerRig(20);
  rig.join(...range(1, 10));
  await rig.quiet();
  for (const host of range(1, 20)) rig.network.connect(host, false);
  rig.restart();
  rig.join(11);
  rig.clock.advance(14_000);
  await rig.turn();
  t.equal(shape(rig.fact), '1 sending 1', 'what they hold is not known, so nothing is changed');
  t.strictSame(rig.warnings, []);
  for (const host of range(1, 19)) rig.network.connect(host, true);
  rig.network.takeAll();
  await rig.turn();
  t.equal(shape(rig.fact), '1 sending 1');
  rig.network.setAlive(20, false);
  rig.planner.hostDown('h20', true);
  await rig.turn();
  t.equal(shape(rig.fact), '1+2 sending 1', 'the last one is back, or known to be down');
  await rig.quiet();
  t.strictSame(treeMembers(rig.fact), range(1, 11));
});

t.test('a restart writes what was there and changes nothing', async (t) => {
  const rig = new PlannerRig(20);
  rig.join(...range(1, 12));
  await rig.quiet();
  const before = rig.fact;
  rig.writes.length = 0;
  rig.restart();
  t.strictSame(rig.writes, [before], 'before control returns to the event loop');
  await rig.quiet();
  t.strictSame(rig.writes, [before]);
});

t.test('a restart in the middle of a change goes on from there', async (t) => {
  const rig = new PlannerRig(20);
  rig.join(...range(1, 12));
  await rig.quiet();
  rig.join(13);
  await rig.turn();
  rig.network.takeAll();
  await rig.turn();
  t.equal(shape(rig.fact), '1+2 sending 2');
  const before = rig.fact;
  rig.writes.length = 0;
  rig.restart();
  t.strictSame(rig.writes, [before]);
  await rig.quiet();
  t.strictSame(rig.writes.map(shape), ['1+2 sending 2', '2 sending 2']);
});

t.test(
  'what senders change to is durable before they do; a store that is lost does not keep a failed relay in use',
  async (t) => {
    const rig = new PlannerRig(20);
    rig.join(...range(1, 12));
    await rig.quiet();
    let unblock = (): void => {};
    rig.journal.blocked = new Promise((resolve) => {
      unblock = resolve;
    });
    rig.join(13);
    await rig.turn();
    rig.network.takeAll();
    await rig.turn();
    t.equal(shape(rig.fact), '1+2 sending 1', 'written down first');
    unblock();
    await rig.turn();
    t.equal(shape(rig.fact), '1+2 sending 2');
    await rig.quiet();
    rig.journal.blocked = new Promise(() => {});
    rig.planner.hostDown('h3', true);
    await rig.turn();
    rig.network.takeAll();
    await rig.turn();
    rig.clock.advance(1_000);
    await rig.turn();
    t.equal(shape(rig.fact), '2+3 sending 3');
  },
);

t.test('records of networks that are gone, and such as cannot be read, are deleted', async (t) => {
  const rig = new PlannerRig(20);
  rig.join(...range(1, 12));
  await rig.quiet();
  rig.journal.put('distributions/99', { trees: [{ colour: 1, members: [1, 2], degree: 4 }], sending: 1 });
  rig.journal.put('distributions/7/239.1.1.1', { trees: [{ colour: 4, members: [1, 2], degree: 4 }] });
  await rig.journal.flush();
  rig.restart();
  await rig.quiet();
  t.strictSame([...rig.facts.keys()], ['7']);
  t.strictSame(
    [...rig.journal.entries('')].map(([key]) => key),
    ['distributions/7'],
  );
});

t.test('a network that is deleted takes its trees with it', async (t) => {
  const rig = new PlannerRig(20);
  rig.join(...range(1, 12));
  await rig.quiet();
  rig.setNetwork(undefined);
  await rig.quiet();
  t.equal(rig.facts.size, 0);
  t.strictSame([...rig.journal.entries('')], []);
});

t.test('only VXLAN networks whose VNI has room for colours have trees', async (t) => {
  for (const [tag, encapsulation] of [
    [2 ** 22, 'vxlan'],
    [100, 'vlan'],
  ] as const) {
    const rig = new PlannerRig(20);
    rig.setNetwork({ ...NETWORK, tag, encapsulation });
    rig.join(...range(1, 12));
    await rig.quiet();
    t.equal(rig.facts.size, 0, `${encapsulation} ${tag}`);
  }
});

t.test(
  'hosts without a tunnel address are on no tree, and hosts of two families have none together',
  async (t) => {
    const rig = new PlannerRig(20);
    const { vtepIpv4: _, ...withoutAddress } = hostFact(3);
    rig.setHost(3, withoutAddress);
    rig.join(...range(1, 12));
    await rig.quiet();
    t.strictSame(
      treeMembers(rig.fact),
      range(1, 12).filter((host) => host !== 3),
    );
    rig.setHost(3, { ...withoutAddress, vtepIpv6: 1n });
    await rig.quiet();
    t.equal(rig.fact, undefined);
    rig.setHost(3, { ...hostFact(3), vtepIpv6: 1n });
    await rig.quiet();
    t.strictSame(treeMembers(rig.fact), range(1, 12));
  },
);

t.test('a group spans the hosts of its receivers and of routers; other groups are not touched', async (t) => {
  const rig = new PlannerRig(40);
  rig.join(...range(1, 30));
  const group = { family: 4, address: 0xef01_0101 } as const;
  const receiver = (host: number, wants: boolean) => {
    const endpoint = `${NETWORK.id}/e${host}`;
    const value = { network: NETWORK.id, group, groupNumber: 1, place: { endpoint } };
    const key = `7/239.1.1.1/${endpoint}`;
    return { kind: 'receiver', key, ...(wants ? { value } : {}) } as const;
  };
  const router = (host: number) => {
    const endpoint = `${NETWORK.id}/e${host}`;
    return {
      kind: 'router',
      key: `7/${endpoint}`,
      value: { network: NETWORK.id, place: { endpoint } },
    } as const;
  };
  const groupFact = () => rig.facts.get('7/239.1.1.1');
  rig.planner.receivers(range(1, 9).map((host) => receiver(host, true)));
  await rig.quiet();
  t.strictSame(treeMembers(groupFact()), range(1, 9));
  t.strictSame(groupFact()?.group, group);
  rig.writes.length = 0;
  rig.planner.receivers([router(20), receiver(2, false)]);
  await rig.quiet();
  t.strictSame(treeMembers(groupFact()), [1, ...range(3, 9), 20]);
  t.strictSame(rig.writes, [], 'the tree of the network stays as it is');
  rig.planner.facts([endpointChange(9, false)]);
  await rig.quiet();
  t.strictSame(treeMembers(groupFact()), [1, ...range(3, 8), 20], 'a receiver whose endpoint is gone');
  const before = groupFact();
  rig.restart();
  t.strictSame(groupFact(), before);
  rig.planner.receivers([...range(3, 9), 1].map((host) => receiver(host, true)));
  rig.planner.receivers([router(20)]);
  await rig.quiet();
  t.strictSame(treeMembers(groupFact()), [1, ...range(3, 9), 20]);
  rig.planner.receivers(range(1, 9).map((host) => receiver(host, false)));
  await rig.quiet();
  t.equal(groupFact(), undefined);
});

t.test('nothing is left running when the planner is closed', async (t) => {
  const rig = new PlannerRig(20);
  rig.join(...range(1, 12));
  await rig.turn();
  rig.planner.close();
  await rig.turn();
  t.equal(rig.clock.timers, 0);
  rig.writes.length = 0;
  rig.network.takeAll();
  await rig.turn();
  t.strictSame(rig.writes, []);
});

t.test(
  'where a host without OpenFlow is a member senders replicate, and a tree ends when one comes',
  async (t) => {
    const rig = new PlannerRig(20);
    rig.join(...range(1, 12));
    await rig.quiet();
    t.equal(shape(rig.fact), '1 sending 1');
    const { datapathId: _, ...soft } = hostFact(15);
    rig.setHost(15, { ...soft, softSwitch: 'linux-bridge' });
    rig.join(15);
    await rig.quiet();
    t.equal(shape(rig.fact), 'none');
    rig.leave(15);
    await rig.quiet();
    t.strictSame(treeMembers(rig.fact), range(1, 12), 'and there is one again when it has left');
  },
);
