/** What names mean to the endpoints of a tenant. */
import t from 'tap';
import { applyText, openModel } from './helpers.js';

const WORLD = `
- {kind: Tenant, name: acme, ipv6SubnetPool: 'fd00:1::/48', overlappingSubnets: true}
- {kind: Network, tenant: acme, name: front, subnet: 10.1.0.0/24}
- {kind: Network, tenant: acme, name: eu.back, subnet: 10.1.0.0/24, ipv6Subnet: none}
- {kind: Group, tenant: acme, name: web, networks: [front]}
- {kind: Endpoint, tenant: acme, network: front, name: a, ip: 10.1.0.1, ip6: 'fd00:1::1'}
- {kind: Endpoint, tenant: acme, network: front, name: myContainer1, ip: 10.1.0.2}
- {kind: Endpoint, tenant: acme, network: eu.back, name: ns.pod, ip: 10.1.0.1}
- {kind: Tenant, name: other}
- {kind: Network, tenant: other, name: front, subnet: 10.1.0.0/24}
- {kind: Endpoint, tenant: other, network: front, name: secret, ip: 10.1.0.9}
`;
const ASKER = 'acme/front/a';

t.test('names of endpoints, in their own network and in others of the tenant', async (t) => {
  const model = await openModel();
  await applyText(model, WORLD);
  const asked = (name: string, asker = ASKER) => {
    const { exists, addresses } = model.lookUpName(asker, name, 25);
    return exists ? addresses : undefined;
  };
  t.strictSame(asked('a'), ['10.1.0.1', 'fd00:1::1']);
  t.strictSame(asked('a.front'), ['10.1.0.1', 'fd00:1::1']);
  t.match(asked('mycontainer1.FRONT'), ['10.1.0.2'], 'DNS knows no case');
  t.strictSame(asked('ns.pod.eu.back'), ['10.1.0.1'], 'names with dots in them');
  t.strictSame(asked('ns.pod', 'acme/eu.back/ns.pod'), ['10.1.0.1']);
  t.strictSame(asked('front'), [], 'a network is a name without addresses');
  for (const name of ['ns.pod', 'secret', 'secret.front', 'front.other', 'a.back', 'x'.repeat(200)])
    t.equal(asked(name), undefined, `there is no ${name}`);
});

t.test('a group is its attached members', async (t) => {
  const model = await openModel();
  await applyText(model, WORLD);
  const members = (limit = 25) => model.lookUpName(ASKER, 'WEB.groups', limit);
  t.strictSame(members(), { exists: true, addresses: [], names: [] }, 'nobody is attached');
  await model.claimHost({ host: 'h1', datapathId: '0000000000000001' });
  for (const [endpoint, port] of [
    ['acme/front/a', 'p1'],
    ['acme/front/myContainer1', 'p2'],
  ] as const)
    await model.attach({ endpoint, host: 'h1', interface: port });
  const addresses = members().addresses.filter((address) => address.startsWith('10.'));
  t.strictSame(addresses.toSorted(), ['10.1.0.1', '10.1.0.2']);
  t.equal(members(1).addresses.length, 1, 'an answer has no more than asked for');
  t.equal(model.lookUpName(ASKER, 'db.groups', 25).exists, false);
  t.equal(model.lookUpName(ASKER, 'groups', 25).exists, true);
});

t.test('addresses have the names of the asker: equal ones of another network come second', async (t) => {
  const model = await openModel();
  await applyText(model, WORLD);
  const name = (asker: string, address: string) => model.lookUpAddress(asker, address).names[0];
  t.equal(name(ASKER, '10.1.0.1'), 'a.front');
  t.equal(name('acme/eu.back/ns.pod', '10.1.0.1'), 'ns.pod.eu.back');
  t.equal(name('acme/eu.back/ns.pod', '10.1.0.2'), 'myContainer1.front');
  t.equal(name(ASKER, 'fd00:1::1'), 'a.front');
  t.equal(name(ASKER, '10.1.0.9'), undefined, 'of another tenant');
  t.equal(name(ASKER, 'nonsense'), undefined);
});
