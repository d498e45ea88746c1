/**
 * What a CNI plugin says: versions, error codes, results. From the Container Network Interface specification, versions 0.3.0 to 1.1.0;
 * sections are those of 1.1.0.
 */

/** Versions of the specification, oldest first. 0.3.0 and 0.3.1 say the same. */
export const CNI_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof CNI_VERSIONS)[number];

/** Operations, and the version that brought each ("CNI operations", section 2). */
export const CNI_COMMANDS = {
  ADD: '0.3.0',
  DEL: '0.3.0',
  VERSION: '0.3.0',
  CHECK: '0.4.0',
  GC: '1.1.0',
  STATUS: '1.1.0',
} as const satisfies Readonly<Record<string, CniVersion>>;
export type CniCommand = keyof typeof CNI_COMMANDS;

/** Section "Error"; from 100 on they are our own. */
export const CniCode = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  /** The runtime need not clean up. */
  unknownContainer: 3,
  /** The message names the variables. */
  invalidEnvironment: 4,
  io: 5,
  undecodable: 6,
  invalidConfiguration: 7,
  tryAgainLater: 11,
  /** STATUS: ADD cannot be served. */
  unavailable: 50,
  /** STATUS: nor may containers that are there reach everything. */
  limitedConnectivity: 51,
  /** The controller or its switch said no; `details` has why. */
  refused: 100,
  /** ADD of an interface that exists. */
  exists: 101,
  /** CHECK: something is not as ADD left it. */
  different: 102,
  /** A fault of the agent. */
  internal: 999,
} as const;
export type CniCode = (typeof CniCode)[keyof typeof CniCode];

/** The result of an operation that failed. `details` are for people: what to do about it. */
export class CniError extends Error {
  override readonly name = 'CniError';
  constructor(
    readonly cniCode: CniCode,
    message: string,
    readonly details?: string,
  ) {
    super(message);
  }
}

/** Section "Error". */
export interface ErrorResult {
  readonly cniVersion: string;
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}

export function errorResult(version: string, { cniCode, message, details }: CniError): ErrorResult {
  return { cniVersion: version, code: cniCode, msg: message, ...(details === undefined ? {} : { details }) };
}

/** Passed through from the configuration to the result; the runtime acts on it. */
export interface Dns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** What ADD made. */
export interface AddedInterface {
  /** Our end, on the bridge. */
  readonly host: { readonly name: string; readonly mac?: string };
  readonly container: { readonly name: string; readonly mac: string; readonly netns: string };
  /** Bytes. */
  readonly mtu: number;
  readonly addresses: readonly { readonly cidr: string; readonly gateway?: string }[];
  /** Gateways of the default routes that lead through the interface. */
  readonly defaultRoutes: readonly string[];
  readonly dns: Dns;
}

export interface InterfaceResult {
  readonly name: string;
  readonly mac?: string;
  /** Since 1.1.0. */
  readonly mtu?: number;
  /** Path of the network namespace; absent: of the host. */
  readonly sandbox?: string;
}

/** Section "ADD Success". */
export interface AddResult {
  readonly cniVersion: CniVersion;
  readonly interfaces: readonly InterfaceResult[];
  readonly ips: readonly {
    /** Until 0.4.0. */
    readonly version?: '4' | '6';
    readonly address: string;
    readonly gateway?: string;
    /** Index into `interfaces`. */
    readonly interface: number;
  }[];
  readonly routes: readonly { readonly dst: string; readonly gw: string }[];
  readonly dns: Dns;
}

const isIpv6 = (address: string): boolean => address.includes(':');
/** Of the container's end in `interfaces`. */
const CONTAINER_INDEX = 1;

/** What ADD made, in the words of a version of the specification. */
export function addResult(version: CniVersion, added: AddedInterface): AddResult {
  const { host, container, mtu, addresses, defaultRoutes, dns } = added;
  const sized = atLeast(version, '1.1.0') ? { mtu } : {};
  return {
    cniVersion: version,
    interfaces: [
      { name: host.name, ...(host.mac === undefined ? {} : { mac: host.mac }), ...sized },
      { name: container.name, mac: container.mac, ...sized, sandbox: container.netns },
    ],
    ips: addresses.map(({ cidr, gateway }) => ({
      ...(atLeast(version, '1.0.0') ? {} : { version: isIpv6(cidr) ? ('6' as const) : ('4' as const) }),
      address: cidr,
      ...(gateway === undefined ? {} : { gateway }),
      interface: CONTAINER_INDEX,
    })),
    routes: defaultRoutes.map((gw) => ({ dst: isIpv6(gw) ? '::/0' : '0.0.0.0/0', gw })),
    dns,
  };
}

/** Whether a version is another one or newer. */
export function atLeast(version: CniVersion, other: CniVersion): boolean {
  return CNI_VERSIONS.indexOf(version) >= CNI_VERSIONS.indexOf(other);
}
