/** Rows that the driver makes, and the comparison of what is there with what should be. */
import { createHash } from 'node:crypto';
import { TUNNEL_INTERFACE, TUNNEL_PORT, UPLINK_PORT } from '../../rpc/index.js';
import * as ovsdb from '../ovsdb/index.js';
import type { BridgeSettings } from './driver.js';
import { Controller, Interface, PEER_KEY, Port, ROLE_KEY } from './ovs-schema.js';

/** Operations that insert a port, and the reference by which the bridge takes it in. */
export interface NewPort {
  readonly operations: readonly ovsdb.Operation[];
  readonly reference: string;
}

/** An infrastructure port of the bridge: the tunnel, the uplink, or a port that watches the tunnel to one host. */
export interface InfrastructurePort {
  readonly role: 'tunnel' | 'uplink' | 'watch';
  readonly name: string;
  /** Absent: any. */
  readonly number?: number;
  readonly type: string;
  readonly options: ReadonlyMap<string, string>;
  readonly bfd: ReadonlyMap<string, string>;
  /** Of `watch`: the host at the other end. */
  readonly peer?: string;
}

/**
 * BFD needs a port for each peer, which a flow-based tunnel port has not. So a watched peer has a port with a VNI that no network can
 * have, the last one; packets of the same peer with any other VNI still come in by the flow-based port, which is less specific. The
 * switch takes BFD's packets before they reach a table.
 */
const WATCH_VNI = 0xff_ffff;
/** Both ends send so often, and take a tunnel for down after three that are missing: 0.6 s. */
const BFD_INTERVAL_MS = 200;
const NO_BFD: ReadonlyMap<string, string> = new Map();

export function infrastructurePorts(settings: BridgeSettings): readonly InfrastructurePort[] {
  const ports: InfrastructurePort[] = [];
  if (settings.vtepIp !== undefined) {
    const options = new Map([
      ['remote_ip', 'flow'],
      ['key', 'flow'],
      ['local_ip', settings.vtepIp],
      // The mark of a packet goes on the outside as well, where the underlay sees it.
      ['tos', 'inherit'],
    ]);
    const tunnel = { name: TUNNEL_INTERFACE, number: TUNNEL_PORT, type: 'vxlan', options };
    ports.push({ role: 'tunnel', ...tunnel, bfd: NO_BFD });
    for (const { host, vtepIp } of settings.peers) ports.push(watchPort(host, vtepIp, settings.vtepIp));
  }
  if (settings.uplink !== undefined) {
    const uplink = { name: settings.uplink, number: UPLINK_PORT, type: '', options: new Map() };
    ports.push({ role: 'uplink', ...uplink, bfd: NO_BFD });
  }
  return ports;
}

function watchPort(peer: string, remote: string, local: string): InfrastructurePort {
  return {
    role: 'watch',
    // Names of interfaces have 15 characters; the address is told by the row.
    name: `weft-w${createHash('sha256').update(remote).digest('hex').slice(0, 9)}`,
    type: 'vxlan',
    options: new Map([
      ['remote_ip', remote],
      ['key', `${WATCH_VNI}`],
      ['local_ip', local],
    ]),
    bfd: new Map([
      ['enable', 'true'],
      ['min_tx', `${BFD_INTERVAL_MS}`],
      ['min_rx', `${BFD_INTERVAL_MS}`],
    ]),
    peer,
  };
}

export function infrastructureColumns({ role, number, type, options, bfd, peer }: InfrastructurePort) {
  const ids: [string, string][] = [[ROLE_KEY, role]];
  if (peer !== undefined) ids.push([PEER_KEY, peer]);
  return {
    type,
    options,
    bfd,
    external_ids: new Map(ids),
    ...(number === undefined ? {} : { ofport_request: number }),
  };
}

export function newPort(
  name: string,
  columns: ovsdb.PartialRow<(typeof Interface)['columns']>,
  label: string,
): NewPort {
  const reference = ovsdb.namedUuid(`${label}-port`);
  return {
    reference,
    operations: [
      ovsdb.insert(Interface, { name, ...columns }, `${label}-interface`),
      ovsdb.insert(Port, { name, interfaces: [ovsdb.namedUuid(`${label}-interface`)] }, `${label}-port`),
    ],
  };
}

export function newControllers(targets: readonly string[]): {
  operations: ovsdb.Operation[];
  references: string[];
} {
  const settings = { connection_mode: 'out-of-band', max_backoff: 1_000, inactivity_probe: 5_000 };
  return {
    operations: targets.map((target, index) =>
      ovsdb.insert(Controller, { target, ...settings }, `controller-${index}`),
    ),
    references: targets.map((_target, index) => ovsdb.namedUuid(`controller-${index}`)),
  };
}

/** Whether all columns of two rows are equal; maps and sets whatever their order. */
export function sameValues(
  a: Readonly<Record<string, unknown>>,
  b: Readonly<Record<string, unknown>>,
): boolean {
  const text = (values: Readonly<Record<string, unknown>>): string =>
    JSON.stringify(
      Object.keys(values)
        .sort()
        .map((key) => values[key] ?? null),
      (_key, value: unknown) => (value instanceof Map ? [...(value as Map<string, string>)].sort() : value),
    );
  return text(a) === text(b);
}
