/** contiv's one object of global settings. Here they follow from what Weft is: it can be read, and set to what it is. */
import { Refusal } from './answers.js';
import { rangesText } from './operational.js';
import { GlobalBody } from './schemas.js';
import { object, type Snapshot } from './snapshot.js';
import type { ContivKind, Members } from './types.js';

const NAME = 'global';

/** What holds, and why nothing else can. */
const FIXED = {
  networkInfraType: { value: 'default', reason: 'nothing speaks to an ACI fabric' },
  fwdMode: { value: 'bridge', reason: 'networks are bridged' },
  arpMode: {
    value: 'proxy',
    reason: 'ARP and neighbour discovery for endpoints are always answered at the host',
  },
} as const;

/** The tenants' pools, where they are the same for all; what tenants have of their own is theirs. */
function ranges(snapshot: Snapshot): { vlans?: string; vxlans?: string } {
  const of = (pool: 'vlans' | 'vnis'): string =>
    [...new Set(snapshot.tenants.map(({ status }) => status[pool]))].join(',');
  return { vlans: of('vlans'), vxlans: of('vnis') };
}

const globalObject = (snapshot: Snapshot): Members =>
  object({
    key: NAME,
    name: NAME,
    ...Object.fromEntries(Object.entries(FIXED).map(([member, { value }]) => [member, value])),
    ...ranges(snapshot),
  });

export const global: ContivKind = {
  collection: 'globals',
  word: 'global',
  keyMembers: ['name'],
  schema: GlobalBody,
  list: (snapshot) => [globalObject(snapshot)],
  get: (snapshot, [name]) => (name === NAME ? globalObject(snapshot) : undefined),
  intents: (snapshot, body: GlobalBody) => {
    for (const [member, { value, reason }] of Object.entries(FIXED)) {
      const given = (body as Members)[member];
      if (given === undefined || given === '' || given === value) continue;
      throw new Refusal('global', `global: ${member} is ${value}, and cannot be ${String(given)}: ${reason}`);
    }
    const held = ranges(snapshot);
    for (const member of ['vlans', 'vxlans'] as const) {
      const given = body[member] ?? '';
      if (given === '' || given === held[member]) continue;
      throw new Refusal(
        'global',
        `global: ${member} cannot be set: there is no range of the cluster, every tenant has its own`,
        `give tenants ${member === 'vlans' ? 'vlans' : 'vnis'} with weft apply`,
      );
    }
    return [];
  },
  refs: () => {
    throw new Refusal('global', 'global settings cannot be deleted');
  },
  operational: ({ networks }) => {
    const tags = (encapsulation: 'vlan' | 'vxlan') =>
      networks
        .filter(({ status }) => status.encapsulation === encapsulation)
        .map(({ status }) => status.tag)
        .sort((a, b) => a - b);
    return object({
      numNetworks: networks.length,
      vlansInUse: rangesText(tags('vlan')),
      vxlansInUse: rangesText(tags('vxlan')),
    });
  },
};
