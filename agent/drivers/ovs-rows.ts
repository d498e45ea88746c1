/** Rows that the driver makes, and the comparison of what is there with what should be. */
import { TUNNEL_INTERFACE, TUNNEL_PORT, UPLINK_PORT } from '../../rpc/index.js';
import * as ovsdb from '../ovsdb/index.js';
import type { BridgeSettings } from './driver.js';
import { Controller, Interface, Port, ROLE_KEY } from './ovs-schema.js';

/** Operations that insert a port, and the reference by which the bridge takes it in. */
export interface NewPort {
  readonly operations: readonly ovsdb.Operation[];
  readonly reference: string;
}

/** An infrastructure port of the bridge: the tunnel or the uplink. */
export interface InfrastructurePort {
  readonly role: 'tunnel' | 'uplink';
  readonly name: string;
  readonly number: number;
  readonly type: string;
  readonly options: ReadonlyMap<string, string>;
}

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
    ports.push({ role: 'tunnel', name: TUNNEL_INTERFACE, number: TUNNEL_PORT, type: 'vxlan', options });
  }
  if (settings.uplink !== undefined) {
    ports.push({ role: 'uplink', name: settings.uplink, number: UPLINK_PORT, type: '', options: new Map() });
  }
  return ports;
}

export function infrastructureColumns({ role, number, type, options }: InfrastructurePort) {
  return { type, options, ofport_request: number, external_ids: new Map([[ROLE_KEY, role]]) };
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
