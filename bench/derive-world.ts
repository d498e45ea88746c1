/**
 * Fills a controller's store with a large cluster, as people and agents would have: `node derive-world.js STORE SHAPE`, SHAPE a JSON of
 * {@link ClusterShape}. A process of its own, so that what measures the start of a controller has none of its memory.
 */
import { Model } from '../controller/model/index.js';
import type { IntentObject } from '../controller/model/intents.js';
import { LevelStore } from '../controller/store/level.js';
import { TUNNEL_INTERFACE } from '../rpc/index.js';

export interface ClusterShape {
  readonly hosts: number;
  readonly networks: number;
  /** Equally many in each network, on as many hosts as `spread` says. */
  readonly endpoints: number;
  /** Hosts that carry a network. */
  readonly spread: number;
  /** Each on a group of its own. The groups of a network are its endpoints in turn; rules are about groups of the same network. */
  readonly policies: number;
  readonly rulesPerPolicy: number;
}

const TENANT = 'acme';
const BATCH = 5_000;
/** Groups in a network that has any. */
const GROUPS = 2;

function* objectsOf(shape: ClusterShape): Generator<IntentObject> {
  const { networks, endpoints, policies, rulesPerPolicy } = shape;
  yield { kind: 'Tenant', name: TENANT, subnetPool: '10.0.0.0/8' };
  for (let index = 0; index < networks; index++)
    yield { kind: 'Network', tenant: TENANT, name: `n${index}`, encapsulation: 'vxlan' };
  for (let index = 0; index < policies; index++) {
    const rules = Array.from({ length: rulesPerPolicy }, (_, number) => ({
      name: `r${number}`,
      from: [{ group: `g${index - (index % GROUPS) + ((index + 1 + number) % GROUPS)}` }],
      protocol: 'tcp' as const,
      ports: [8_000 + number],
    }));
    yield { kind: 'Policy', tenant: TENANT, name: `p${index}`, defaultIn: 'deny', rules };
    yield { kind: 'Group', tenant: TENANT, name: `g${index}`, policies: [`p${index}`] };
  }
  for (let index = 0; index < endpoints; index++) {
    const network = index % networks;
    const group = GROUPS * network + (Math.floor(index / networks) % GROUPS);
    yield {
      kind: 'Endpoint',
      tenant: TENANT,
      network: `n${network}`,
      name: `e${index}`,
      ...(group < policies ? { groups: [`g${group}`] } : {}),
    };
  }
}

const [path = '', shapeText = ''] = process.argv.slice(2);
const shape = JSON.parse(shapeText) as ClusterShape;
const store = await LevelStore.open(path);
const model = await Model.open(store);
// Policies and groups name each other: the first batch has them all.
const first = 1 + shape.networks + 2 * shape.policies;
let batch: IntentObject[] = [];
let count = 0;
const flush = async (): Promise<void> => {
  await model.apply(batch, { mode: 'add' });
  batch = [];
};
for (const object of objectsOf(shape)) {
  batch.push(object);
  count++;
  if (count === first || (count > first && batch.length === BATCH)) await flush();
}
if (batch.length > 0) await flush();
const onHost = new Map<number, { endpoint: string; interface: string; generation: number }[]>();
for (let index = 0; index < shape.endpoints; index++) {
  const network = index % shape.networks;
  const host = (network * shape.spread + (Math.floor(index / shape.networks) % shape.spread)) % shape.hosts;
  const attachments = onHost.get(host) ?? [];
  onHost.set(host, attachments);
  attachments.push({
    endpoint: `${TENANT}/n${network}/e${index}`,
    interface: `p${attachments.length + 1}`,
    generation: 0,
  });
}
for (let host = 0; host < shape.hosts; host++) {
  await model.claimHost({
    host: `h${host}`,
    datapathId: (host + 1).toString(16).padStart(16, '0'),
    vtepIp: `192.168.${(host + 1) >> 8}.${(host + 1) & 0xff}`,
    tunnelPort: TUNNEL_INTERFACE,
  });
  await model.mergeSnapshot({ host: `h${host}`, epoch: 1, attachments: onHost.get(host) ?? [] });
}
await model.close();
await store.close();
