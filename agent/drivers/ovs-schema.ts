/**
 * Tables and columns of the Open_vSwitch database that the driver uses (ovs-vswitchd.conf.db(5)), and the keys under which the agent
 * marks what is its own.
 */
import { defineTable } from '../ovsdb/index.js';
import type { AttachmentRecord } from '../records.js';

export const OpenVSwitch = defineTable('Open_vSwitch', {
  bridges: 'uuids',
  next_cfg: 'integer',
  cur_cfg: 'integer',
  datapath_types: 'strings',
  other_config: 'map',
});

export const Bridge = defineTable('Bridge', {
  name: 'string',
  ports: 'uuids',
  controller: 'uuids',
  datapath_type: 'string',
  datapath_id: 'string?',
  fail_mode: 'string?',
  protocols: 'strings',
  other_config: 'map',
  external_ids: 'map',
});

export const Port = defineTable('Port', {
  name: 'string',
  interfaces: 'uuids',
  /** One at most. */
  qos: 'uuids',
  external_ids: 'map',
});

export const QoS = defineTable('QoS', {
  type: 'string',
  queues: 'numberedUuids',
  other_config: 'map',
  external_ids: 'map',
});

export const Queue = defineTable('Queue', { other_config: 'map', external_ids: 'map' });

export const Interface = defineTable('Interface', {
  name: 'string',
  type: 'string',
  options: 'map',
  ofport: 'integer?',
  ofport_request: 'integer?',
  error: 'string?',
  external_ids: 'map',
  bfd: 'map',
  bfd_status: 'map',
});

export const Controller = defineTable('Controller', {
  target: 'string',
  connection_mode: 'string?',
  max_backoff: 'integer?',
  inactivity_probe: 'integer?',
});

export const TABLES = [OpenVSwitch, Bridge, Port, Interface, Controller, QoS, Queue];

/** `external_ids` keys. `iface-id` and `attached-mac` are Open vSwitch's convention (Documentation/topics/integration.rst). */
const Key = {
  endpoint: 'iface-id',
  mac: 'attached-mac',
  generation: 'weft-generation',
  attachUUID: 'weft-attach-uuid',
  namespace: 'weft-namespace',
  innerInterface: 'weft-inner-interface',
  peer: 'weft-veth-peer',
} as const;

/** On the bridge: which agent made it. */
export const HOST_KEY = 'weft-host';
/** On a port: `tunnel`, `uplink` or `watch`; on a QoS: `queues`. */
export const ROLE_KEY = 'weft-role';

/** On a port that watches a tunnel: the host at its other end. */
export const PEER_KEY = 'weft-peer';

export function encodeRecord(record: AttachmentRecord): ReadonlyMap<string, string> {
  const pairs: [string, string | undefined][] = [
    [Key.endpoint, record.endpoint],
    [Key.mac, record.mac],
    [Key.generation, `${record.generation}`],
    [Key.attachUUID, record.attachUUID],
    [Key.namespace, record.namespace],
    [Key.innerInterface, record.innerInterface],
    [Key.peer, record.peer],
  ];
  return new Map(pairs.filter((pair): pair is [string, string] => pair[1] !== undefined));
}

/** The record in an interface's `external_ids`; undefined when the agent did not write them. */
export function decodeRecord(ids: ReadonlyMap<string, string>): AttachmentRecord | undefined {
  const endpoint = ids.get(Key.endpoint);
  const generation = Number(ids.get(Key.generation));
  if (endpoint === undefined || !Number.isSafeInteger(generation)) return undefined;
  const attachUUID = ids.get(Key.attachUUID);
  const namespace = ids.get(Key.namespace);
  const innerInterface = ids.get(Key.innerInterface);
  const peer = ids.get(Key.peer);
  return {
    endpoint,
    generation,
    mac: ids.get(Key.mac) ?? '',
    ...(attachUUID === undefined ? {} : { attachUUID }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(innerInterface === undefined ? {} : { innerInterface }),
    ...(peer === undefined ? {} : { peer }),
  };
}
