/**
 * The records that the model keeps in the store, and their bytes (protobuf with a schema version). A record holds an
 * intent as it was given and everything that has been allocated for it, so that owner and allocation are one write.
 */
import protobuf from 'protobufjs';
import type {
  AddressSetIntent,
  EndpointIntent,
  GroupIntent,
  HostBindingIntent,
  HostIntent,
  NetworkIntent,
  PolicyIntent,
  QosProfileIntent,
  RuleIntent,
  TenantIntent,
  TierIntent,
} from './intents.js';
import type { SoftSwitch } from './facts.js';
import type { AnnouncedRates } from './types.js';
import { leaseFields, leaseRecords, type NetworkUseRecord, type ReservationRecord } from './lease-records.js';
import { policyFields, policyRecords, traitsFromFields, traitsToFields } from './policy-records.js';
import { RECORDS_PROTO } from './records-proto.js';

/**
 * Version of the records written here; those of a later version are refused. 2 added policy and quality of service: a Weft that
 * knows only 1 would lose what it does not know of a tenant or an endpoint, and nothing must be open because of that. 3 added
 * the multicast groups of a rule, without which it would be about everything.
 */
export const SCHEMA_VERSION = 3;

export interface Subnet<Address> {
  readonly address: Address;
  readonly length: number;
  readonly gateway?: Address;
}

export interface TenantRecord {
  readonly number: number;
  readonly spec: TenantIntent;
}

export interface NetworkRecord {
  readonly number: number;
  readonly spec: NetworkIntent;
  readonly encapsulation: 'vlan' | 'vxlan';
  /** 0 only inside of a transaction, between giving a tag back and taking another. */
  readonly tag: number;
  readonly ipv4?: Subnet<number>;
  readonly ipv6?: Subnet<bigint>;
}

/** What selects an endpoint for policies and profiles; names are of its tenant. */
export interface Traits extends Pick<EndpointIntent, 'labels' | 'groups' | 'ports' | 'qos'> {
  /** Only an agent says these. */
  readonly rates?: AnnouncedRates;
}

export interface EndpointRecord {
  readonly number: number;
  readonly spec: EndpointIntent;
  /** Asked for by an agent; no intent declares it. */
  readonly dynamic: boolean;
  readonly mac: number;
  readonly ipv4?: number;
  readonly ipv6?: bigint;
  /** As the agent that asked for it said; the intent's is in `spec`. */
  readonly attachUUID?: string;
  /** As the agent said; what `spec` says stands over it. */
  readonly announced?: Traits;
  /** Where it is attached; both or none. */
  readonly host?: string;
  readonly interface?: string;
  /** Of its last attachment, even after it ended; 0 before the first. */
  readonly generation: number;
}

export interface HostClaimRecord {
  /** One of this and `softSwitch`. */
  readonly datapathId?: string;
  readonly softSwitch?: SoftSwitch;
  readonly vtepIpv4?: number;
  readonly vtepIpv6?: bigint;
  readonly uplink?: string;
  readonly tunnelPort?: string;
}

export interface HostRecord {
  readonly name: string;
  readonly number: number;
  /** Absent: no intent declares it, its agent registered it. */
  readonly spec?: HostIntent;
  readonly claim?: HostClaimRecord;
}

export interface BindingRecord {
  readonly spec: HostBindingIntent;
}

export interface GroupRecord {
  readonly number: number;
  readonly spec: GroupIntent;
}

export interface AddressSetRecord {
  readonly number: number;
  readonly spec: AddressSetIntent;
}

export interface TierRecord {
  readonly spec: TierIntent;
}

/** Its rules have records of their own. */
export interface PolicyRecord {
  readonly number: number;
  readonly spec: Omit<PolicyIntent, 'rules'>;
}

export interface RuleRecord {
  readonly number: number;
  /** Place in its policy; ascending, not without gaps. */
  readonly position: number;
  /** Without contiv's members: `from`, `to` and `ports` say the same. */
  readonly spec: RuleIntent;
}

export interface QosProfileRecord {
  readonly number: number;
  readonly spec: QosProfileIntent;
}

/** An attachment that came before its endpoint. */
export interface PendingRecord {
  readonly endpoint: string;
  readonly host: string;
  readonly interface: string;
  readonly generation: number;
}

export interface MetaRecord {
  /** Last generation given to an attachment. */
  readonly generation: number;
}

export interface Records {
  tenant: TenantRecord;
  host: HostRecord;
  network: NetworkRecord;
  endpoint: EndpointRecord;
  binding: BindingRecord;
  tier: TierRecord;
  qosProfile: QosProfileRecord;
  addressSet: AddressSetRecord;
  policy: PolicyRecord;
  rule: RuleRecord;
  group: GroupRecord;
  pending: PendingRecord;
  networkUse: NetworkUseRecord;
  reservation: ReservationRecord;
  meta: MetaRecord;
}
export type Table = keyof Records;
export const TABLES = [
  'tenant',
  'host',
  'network',
  'endpoint',
  'binding',
  'tier',
  'qosProfile',
  'addressSet',
  'policy',
  'rule',
  'group',
  'pending',
  'networkUse',
  'reservation',
  'meta',
] as const satisfies Table[];

/** A record cannot be read; `code` `store.corrupt` or `store.version`. */
export class RecordError extends Error {
  readonly code: 'store.corrupt' | 'store.version';
  readonly fix: string;

  constructor(code: 'store.corrupt' | 'store.version', message: string, fix: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'RecordError';
    this.code = code;
    this.fix = fix;
  }
}

/** `network/acme/front`. */
export const storeKey = (table: Table, id: string): string => `${table}/${id}`;

/** The table and the id of a key; undefined for keys of somebody else. */
export function splitStoreKey(key: string): { table: Table; id: string } | undefined {
  const slash = key.indexOf('/');
  const table = TABLES.find((name) => name === key.slice(0, slash));
  return table === undefined ? undefined : { table, id: key.slice(slash + 1) };
}

const root = protobuf.parse(RECORDS_PROTO).root;
const messages = {
  tenant: root.lookupType('weft.model.Tenant'),
  host: root.lookupType('weft.model.Host'),
  network: root.lookupType('weft.model.Network'),
  endpoint: root.lookupType('weft.model.Endpoint'),
  binding: root.lookupType('weft.model.Binding'),
  tier: root.lookupType('weft.model.Tier'),
  qosProfile: root.lookupType('weft.model.QosProfile'),
  addressSet: root.lookupType('weft.model.AddressSet'),
  policy: root.lookupType('weft.model.Policy'),
  rule: root.lookupType('weft.model.Rule'),
  group: root.lookupType('weft.model.Group'),
  pending: root.lookupType('weft.model.Pending'),
  networkUse: root.lookupType('weft.model.NetworkUse'),
  reservation: root.lookupType('weft.model.Reservation'),
  meta: root.lookupType('weft.model.Meta'),
} as const satisfies Record<Table, protobuf.Type>;

/** A message as protobufjs gives it: unset members are absent. */
export type Fields = Record<string, unknown>;

const fromRecord: { readonly [T in Table]: (record: Records[T]) => Fields } = {
  ...policyFields,
  ...leaseFields,
  meta: ({ generation }) => ({ generation }),
  tenant: ({ number, spec }) => ({ name: spec.name, number, spec }),
  network: ({ number, spec, encapsulation, tag, ipv4, ipv6 }) => ({
    tenant: spec.tenant,
    name: spec.name,
    number,
    spec,
    encapsulation,
    tag,
    ipv4,
    ...(ipv6 === undefined ? {} : { ipv6: subnet6ToFields(ipv6) }),
  }),
  endpoint: (record) => ({
    ...record,
    tenant: record.spec.tenant,
    network: record.spec.network,
    name: record.spec.name,
    spec: { ...record.spec, attachUuid: record.spec.attachUUID, traits: traitsToFields(record.spec) },
    attachUuid: record.attachUUID,
    announced: record.announced && traitsToFields(record.announced),
    ...(record.ipv6 === undefined ? {} : { ipv6: ipv6ToBytes(record.ipv6) }),
  }),
  host: ({ name, number, spec, claim }) => ({
    name,
    number,
    spec,
    ...(claim === undefined
      ? {}
      : {
          claim: {
            ...claim,
            ...(claim.vtepIpv6 === undefined ? {} : { vtepIpv6: ipv6ToBytes(claim.vtepIpv6) }),
          },
        }),
  }),
  binding: ({ spec }) => ({ ...spec, attachUuid: spec.attachUUID }),
  pending: (record) => ({ ...record }),
};

const toRecord: { readonly [T in Table]: (fields: Fields) => Records[T] } = {
  ...policyRecords,
  ...leaseRecords,
  meta: (fields) => ({ generation: (fields.generation as number | undefined) ?? 0 }),
  tenant: (fields) => ({
    number: fields.number as number,
    spec: { kind: 'Tenant', name: fields.name as string, ...(fields.spec as object) },
  }),
  network: (fields) => ({
    number: fields.number as number,
    spec: {
      kind: 'Network',
      tenant: fields.tenant as string,
      name: fields.name as string,
      ...(fields.spec as object),
    },
    encapsulation: fields.encapsulation as 'vlan' | 'vxlan',
    tag: fields.tag as number,
    ...(fields.ipv4 === undefined ? {} : { ipv4: fields.ipv4 as Subnet<number> }),
    ...(fields.ipv6 === undefined ? {} : { ipv6: subnet6FromFields(fields.ipv6 as Fields) }),
  }),
  endpoint: (fields) => {
    const { schemaVersion: _, tenant, network, name, spec, attachUuid, ipv6, announced, ...rest } = fields;
    const { attachUuid: pinnedUuid, traits, ...specRest } = spec as Fields;
    return {
      ...(rest as unknown as Omit<EndpointRecord, 'spec'>),
      spec: {
        kind: 'Endpoint',
        tenant: tenant as string,
        network: network as string,
        name: name as string,
        ...specRest,
        ...traitsFromFields(traits),
        ...(pinnedUuid === undefined ? {} : { attachUUID: pinnedUuid as string }),
      },
      ...(attachUuid === undefined ? {} : { attachUUID: attachUuid as string }),
      ...(announced === undefined ? {} : { announced: traitsFromFields(announced) }),
      ...(ipv6 === undefined ? {} : { ipv6: ipv6FromBytes(ipv6 as Uint8Array) }),
    };
  },
  host: (fields) => ({
    name: fields.name as string,
    number: fields.number as number,
    ...(fields.spec === undefined
      ? {}
      : { spec: { kind: 'Host', name: fields.name as string, ...(fields.spec as object) } }),
    ...(fields.claim === undefined ? {} : { claim: claimFromFields(fields.claim as Fields) }),
  }),
  binding: (fields) => {
    const { schemaVersion: _, attachUuid, ...rest } = fields;
    return {
      spec: {
        kind: 'HostBinding',
        ...(rest as unknown as Omit<HostBindingIntent, 'kind'>),
        ...(attachUuid === undefined ? {} : { attachUUID: attachUuid as string }),
      },
    };
  },
  pending: ({ schemaVersion: _, ...rest }) => rest as unknown as PendingRecord,
};

export function encodeRecord<T extends Table>(table: T, record: Records[T]): Uint8Array {
  const fields = fromRecord[table](record);
  return messages[table].encode({ ...fields, schemaVersion: SCHEMA_VERSION }).finish();
}

/** Throws RecordError, naming the key. */
export function decodeRecord<T extends Table>(table: T, key: string, bytes: Uint8Array): Records[T] {
  let fields: Fields;
  try {
    fields = messages[table].toObject(messages[table].decode(bytes), { longs: Number }) as Fields;
    if (typeof fields.schemaVersion !== 'number') throw new Error('it has no schema version');
  } catch (error) {
    throw new RecordError(
      'store.corrupt',
      `the record "${key}" cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      'restore the store from a backup',
      error,
    );
  }
  if ((fields.schemaVersion as number) > SCHEMA_VERSION) {
    throw new RecordError(
      'store.version',
      `the record "${key}" has schema version ${String(fields.schemaVersion)}, this Weft knows ${SCHEMA_VERSION}`,
      'run the newer Weft that wrote it',
    );
  }
  return toRecord[table](fields);
}

function ipv6ToBytes(address: bigint): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, address >> 64n);
  view.setBigUint64(8, address & 0xffff_ffff_ffff_ffffn);
  return bytes;
}

function ipv6FromBytes(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
}

const subnet6ToFields = ({ address, length, gateway }: Subnet<bigint>): Fields => ({
  address: ipv6ToBytes(address),
  length,
  ...(gateway === undefined ? {} : { gateway: ipv6ToBytes(gateway) }),
});

const subnet6FromFields = ({ address, length, gateway }: Fields): Subnet<bigint> => ({
  address: ipv6FromBytes(address as Uint8Array),
  length: length as number,
  ...(gateway === undefined ? {} : { gateway: ipv6FromBytes(gateway as Uint8Array) }),
});

function claimFromFields({ vtepIpv6, ...rest }: Fields): HostClaimRecord {
  return {
    ...(rest as unknown as HostClaimRecord),
    ...(vtepIpv6 === undefined ? {} : { vtepIpv6: ipv6FromBytes(vtepIpv6 as Uint8Array) }),
  };
}
