/**
 * Public types of the model: what the hub, the API, the command line and the main process see of it.
 */
import type { Store } from '../store/store.js';
import type { EndpointId, FactChange, NetworkId, SoftSwitch } from './facts.js';
import type {
  AddressSetIntent,
  EndpointIntent,
  GroupIntent,
  HostBindingIntent,
  HostIntent,
  IntentObject,
  Kind,
  NetworkIntent,
  PolicyIntent,
  QosProfileIntent,
  RuleIntent,
  TenantIntent,
  TierIntent,
} from './intents.js';

/** One thing wrong (or worth knowing) about an intent, a document or a request. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** Dotted and stable, e.g. `network.subnet.exhausted`. */
  readonly code: string;
  /** Complete sentence for people; names the value. */
  readonly message: string;
  /** Where: `Network acme/front: gateway`, or a JSON pointer into a netplugin document. */
  readonly path?: string;
  /** What to do about it. */
  readonly fix?: string;
  readonly file?: string;
  /** Counted from 1; where the objects were parsed from text. */
  readonly line?: number;
  readonly column?: number;
}

/** A refused request. `code`, `path` and `fix` are those of the first problem; nothing has been changed. */
export class ModelError extends Error {
  readonly code: string;
  readonly path?: string;
  readonly fix?: string;
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const first = problems.find((problem) => problem.severity === 'error') ?? problems[0];
    const others = problems.filter((problem) => problem.severity === 'error').length - 1;
    super(`${first?.message ?? 'refused'}${others > 0 ? ` (and ${others} more)` : ''}`);
    this.name = 'ModelError';
    this.code = first?.code ?? 'model.refused';
    if (first?.path !== undefined) this.path = first.path;
    if (first?.fix !== undefined) this.fix = first.fix;
    this.problems = problems;
  }
}

export interface ObjectRef {
  readonly kind: Kind;
  /** `acme`, `acme/front` or `acme/front/web1`. */
  readonly name: string;
}

export interface FieldChange {
  /** Name of the member, `subnet`. */
  readonly path: string;
  /** Absent: it was not there. */
  readonly from?: unknown;
  /** Absent: it is gone. */
  readonly to?: unknown;
}

export interface Change {
  readonly action: 'create' | 'update' | 'delete' | 'unchanged';
  readonly kind: Kind;
  /** Id of the object, as in `ObjectRef.name`. */
  readonly name: string;
  /** Members of the intent, and allocated values, that changed; for update and create. */
  readonly fields?: readonly FieldChange[];
}

export interface ApplyResult {
  readonly changes: readonly Change[];
  readonly warnings: readonly Problem[];
  /** Nothing was written. */
  readonly dryRun: boolean;
}

export interface ApplyOptions {
  /** `add`: creates and updates. `replace`: the objects are the whole truth, declared ones that are not among them go. */
  readonly mode: 'add' | 'replace';
  readonly dryRun?: boolean;
}

export interface ParseOptions {
  /** Default: JSON when the text begins with `{` or `[`, YAML otherwise (YAML reads JSON as well). */
  readonly format?: 'yaml' | 'json';
  /** Name of the file, for the problems. */
  readonly file?: string;
}

/** Objects that `apply` takes; it remembers the lines that they came from. */
export interface ParseResult {
  readonly objects: readonly IntentObject[];
  readonly problems: readonly Problem[];
}

export interface TenantStatus {
  readonly number: number;
  readonly networks: number;
  readonly defaultEncapsulation: 'vlan' | 'vxlan';
  readonly subnetPool: string;
  readonly allocationLength: number;
  readonly ipv6SubnetPool?: string;
  readonly ipv6AllocationLength: number;
  readonly vlans: string;
  readonly vnis: string;
  readonly defaultAction: 'allow' | 'deny';
}

export interface NetworkStatus {
  readonly number: number;
  readonly encapsulation: 'vlan' | 'vxlan';
  readonly tag: number;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipv6Subnet?: string;
  readonly ipv6Gateway?: string;
  readonly endpoints: number;
  readonly attached: number;
}

export interface EndpointStatus {
  readonly number: number;
  readonly origin: 'intent' | 'dynamic';
  readonly mac: string;
  readonly ip?: string;
  readonly ip6?: string;
  /** Host that it lives on or is bound to. */
  readonly host?: string;
  readonly attached: boolean;
  /** While attached. */
  readonly interface?: string;
  readonly generation: number;
  /** Groups that it is a member of, by whatever way. */
  readonly groups?: readonly string[];
  /** Its own and its agent's. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly ports?: Readonly<Record<string, number | string>>;
  /** The profile that holds for it: its own, its group's or its network's. */
  readonly qos?: string;
  /** Its own, as its agent said; each stands over that of the profile. */
  readonly rates?: AnnouncedRates;
}

export interface HostStatus {
  readonly number: number;
  readonly origin: 'intent' | 'dynamic';
  /** Of its agent: `ovs`, `linux-bridge`, `macvlan`. */
  readonly switch?: 'ovs' | SoftSwitch;
  /** What endpoints on this host do not have, or have in part, and why; absent: everything works. */
  readonly limits?: readonly string[];
  readonly datapathId?: string;
  readonly vtepIp?: string;
  readonly vtepIp6?: string;
  readonly uplink?: string;
  readonly tunnelPort?: string;
  /** Endpoints attached on it. */
  readonly attached: number;
}

export interface HostBindingStatus {
  readonly attached: boolean;
}

export interface TierStatus {
  /** Policies in it. */
  readonly policies: number;
}

export interface QosProfileStatus {
  readonly number: number;
  /** `10 Mbps, burst 375 KB`. */
  readonly out?: string;
  readonly in?: string;
  readonly dscp?: number;
  readonly guaranteed?: string;
  /** Objects that name it. */
  readonly groups: number;
  readonly networks: number;
  readonly endpoints: number;
}

export interface AddressSetStatus {
  readonly number: number;
  /** Prefixes after joining. */
  readonly prefixes: number;
  readonly except: number;
  /** Rules that name it. */
  readonly rules: number;
}

export interface GroupStatus {
  readonly number: number;
  readonly members: number;
  /** Rules that name it as the other side. */
  readonly rules: number;
}

export interface PolicyStatus {
  readonly number: number;
  /** Priority of its tier. */
  readonly tier: number;
  readonly rules: number;
  /** Groups that name it. */
  readonly groups: readonly string[];
  /** Endpoints that it holds for. */
  readonly subjects: number;
}

export interface RuleStatus {
  readonly number: number;
  /** Place in its policy. */
  readonly position: number;
  /** Priority of its policy's tier. */
  readonly tier: number;
  readonly direction: 'in' | 'out';
  readonly priority: number;
  readonly action: 'allow' | 'deny' | 'reject';
  /** `group web, 10.0.0.0/8 except 10.1.0.0/16`; `any`. */
  readonly peers: string;
  /** `tcp 80,8000-8010`; `any`. */
  readonly services: string;
  /** `239.1.0.0/16, set channels`; absent: anything. */
  readonly groupAddresses?: string;
}

interface View<K extends Kind, Spec, Status> {
  readonly kind: K;
  /** Id, as in `ObjectRef.name`. */
  readonly name: string;
  /** The intent as it was given (a dynamic object: what it would be); can be applied again. */
  readonly spec: Spec;
  /** Allocated and observed values. */
  readonly status: Status;
}

export interface ObjectViews {
  Tenant: View<'Tenant', TenantIntent, TenantStatus>;
  Network: View<'Network', NetworkIntent, NetworkStatus>;
  Endpoint: View<'Endpoint', EndpointIntent, EndpointStatus>;
  Host: View<'Host', HostIntent, HostStatus>;
  HostBinding: View<'HostBinding', HostBindingIntent, HostBindingStatus>;
  Tier: View<'Tier', TierIntent, TierStatus>;
  QosProfile: View<'QosProfile', QosProfileIntent, QosProfileStatus>;
  AddressSet: View<'AddressSet', AddressSetIntent, AddressSetStatus>;
  Group: View<'Group', GroupIntent, GroupStatus>;
  Policy: View<'Policy', PolicyIntent, PolicyStatus>;
  Rule: View<'Rule', RuleIntent, RuleStatus>;
}
export type ObjectView = ObjectViews[Kind];

/** What an agent needs to know of an endpoint; same shape as `EndpointView` in rpc/methods.ts. */
export interface EndpointView {
  readonly endpoint: EndpointId;
  readonly tenant: string;
  readonly network: string;
  readonly name: string;
  /** `10.1.1.1/24`. */
  readonly ip?: string;
  readonly ip6?: string;
  readonly mac: string;
  readonly gateway?: string;
  readonly gateway6?: string;
  /** Bytes to take from the underlay's MTU: 0 on VLAN, 50 or 70 on VXLAN over IPv4 or IPv6. */
  readonly mtuOverhead: number;
  readonly encapsulation: 'vlan' | 'vxlan';
  readonly tag: number;
  readonly host?: string;
  readonly interface?: string;
  readonly generation?: number;
}

/** What a name or an address means to an endpoint; as the result of `name.lookup` in rpc/methods-names.ts. */
export interface NamedAddresses {
  readonly exists: boolean;
  readonly addresses: readonly string[];
  readonly names: readonly string[];
}

export interface HostClaim {
  readonly host: string;
  /** One of this and `softSwitch`. */
  readonly datapathId?: string;
  readonly softSwitch?: SoftSwitch;
  readonly vtepIp?: string;
  readonly uplink?: string;
  readonly tunnelPort?: string;
  /** Take the datapath or the tunnel address over from a host that holds it (its lease ran out). */
  readonly takeOver?: boolean;
}

export interface EndpointRequestParams {
  readonly tenant: string;
  readonly network: string;
  readonly name: string;
  readonly host: string;
  readonly attachUUID?: string;
  /** Of either family, when there is no `ip6`. */
  readonly ip?: string;
  readonly ip6?: string;
  readonly mac?: string;
  /** Said by the agent; what an intent says stands over it. What is left out stays as it was. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly groups?: readonly string[];
  readonly ports?: Readonly<Record<string, number | string>>;
  readonly qos?: string;
  readonly rates?: AnnouncedRates;
}

/** What an agent says that an endpoint may receive and send; each stands over that of its profile. */
export interface AnnouncedRates {
  readonly in?: AnnouncedRate;
  readonly out?: AnnouncedRate;
}

export interface AnnouncedRate {
  readonly kilobitsPerSecond: number;
  /** Default: that of profiles. */
  readonly burstKilobits?: number;
}

/** A network that a container runtime of a host uses. */
export interface NetworkUseParams {
  readonly tenant: string;
  readonly network: string;
  readonly host: string;
  /** Of the host's own choice: what it uses the network for. */
  readonly user: string;
  /** Owner of networks that are declared for it. */
  readonly runtime: string;
}

/** What is left out is as the network has it, or is allocated. Text as in intents. */
export interface NetworkRequest extends NetworkUseParams {
  readonly encapsulation?: 'vlan' | 'vxlan';
  readonly tag?: number;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipv6Subnet?: string;
  readonly ipv6Gateway?: string;
}

/** What a host needs to know of a network; same shape as in rpc/methods-networks.ts. */
export interface NetworkDescription {
  readonly tenant: string;
  readonly network: string;
  readonly encapsulation: 'vlan' | 'vxlan';
  readonly tag: number;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipv6Subnet?: string;
  readonly ipv6Gateway?: string;
  /** Absent: people's. */
  readonly owner?: string;
  /** It was declared by this request. */
  readonly created: boolean;
}

export interface AddressParams {
  readonly tenant: string;
  readonly network: string;
  readonly host: string;
  readonly ip: string;
}

export interface AddressRequest extends Omit<AddressParams, 'ip'> {
  /** Absent: the lowest free one of the family. */
  readonly ip?: string;
  readonly family: 4 | 6;
}

/** What is held for a host's container runtime. */
export interface HostLeases {
  readonly uses: readonly { readonly tenant: string; readonly network: string; readonly user: string }[];
  readonly addresses: readonly { readonly tenant: string; readonly network: string; readonly ip: string }[];
}

export interface AttachParams {
  readonly endpoint: EndpointId;
  readonly host: string;
  readonly interface: string;
}

export interface AttachResult {
  /** Absent while pending. */
  readonly endpoint?: EndpointView;
  readonly generation: number;
  /** The endpoint (or its network) is not known yet: it will be attached, with this generation, when it arrives. */
  readonly pending: boolean;
  /** Where it lived before, when it has moved. */
  readonly previous?: { readonly host: string; readonly interface: string };
}

export interface DetachParams {
  readonly endpoint: EndpointId;
  readonly host: string;
  /** Detach only this attachment; a late detach of an older one does nothing. */
  readonly generation?: number;
  /** Delete the endpoint too, if it is a dynamic one. */
  readonly release?: boolean;
}

export interface Attachment {
  readonly endpoint: EndpointId;
  readonly interface: string;
  readonly generation: number;
}

export interface Snapshot {
  readonly host: string;
  readonly epoch: number;
  /** Everything that is attached on the host, by its agent's own account. */
  readonly attachments: readonly Attachment[];
}

export interface SnapshotResult {
  /** Attachments that hold, with their generations as the controller knows them now. */
  readonly accepted: readonly Attachment[];
  /** Endpoints that are not the host's any more (deleted, or moved away): its agent has to take them down. */
  readonly stale: readonly EndpointId[];
  /** Endpoints that the controller had on this host and the agent has not: detached now. */
  readonly removed: readonly EndpointId[];
}

/** Where an intent is silent. Text as in the intents. */
export interface ModelDefaults {
  readonly encapsulation: 'vlan' | 'vxlan';
  readonly subnetPool: string;
  readonly allocationLength: number;
  readonly ipv6AllocationLength: number;
  readonly vlans: string;
  readonly vnis: string;
}

export interface ModelOptions {
  readonly defaults?: Partial<ModelDefaults>;
  /** Called with failures of the background (lost watch, unreadable foreign record). */
  readonly onProblem?: (problem: Problem) => void;
}

/** An endpoint as the ancestor's `GET /endpoints` shows it. */
export interface NetpluginEndpoint {
  readonly id: string;
  readonly netID: string;
  readonly contName: string;
  readonly contUUID: string;
  readonly attachUUID: string;
  readonly ipAddress: string;
  readonly macAddress: string;
  readonly homingHost: string;
  readonly intfName: string;
  readonly portName: string;
  readonly vtepIP: string;
}

/** A network as the ancestor's `GET /networks` shows it. */
export interface NetpluginNetwork {
  readonly id: string;
  readonly tenant: string;
  readonly pktTagType: string;
  readonly pktTag: number;
  readonly extPktTag: number;
  readonly subnetIP: string;
  readonly subnetLen: number;
  readonly defaultGw: string;
  readonly epCount: number;
}

/** The documents of contiv's netplugin (August 2015) and its views. Documents are parsed JSON, or its text. */
export interface Netplugin {
  /** `POST /desired-config`: the whole truth. */
  desired(document: unknown, options?: { dryRun?: boolean }): Promise<ApplyResult>;
  /** `POST /add-config`. */
  add(document: unknown, options?: { dryRun?: boolean }): Promise<ApplyResult>;
  /** `POST /del-config`: the listed endpoints, networks listed without endpoints, tenants listed without networks. */
  del(document: unknown, options?: { dryRun?: boolean }): Promise<ApplyResult>;
  /** `POST /host-bindings-config`: `{HostBindings: […]}` or a bare array. */
  bindings(document: unknown, options?: { dryRun?: boolean }): Promise<ApplyResult>;
  networks(): readonly NetpluginNetwork[];
  /** By the ancestor's id (the network's name) or by `tenant/network`; names are not unique, so possibly several. */
  network(id: string): readonly NetpluginNetwork[];
  endpoints(): readonly NetpluginEndpoint[];
  /** By the ancestor's id (`<network>-<container>`) or by `tenant/network/endpoint`. */
  endpoint(id: string): readonly NetpluginEndpoint[];
}

export interface Model {
  /** Everything wrong is in the ModelError; then nothing has been applied. What has been applied forgets its lines. */
  apply(objects: readonly IntentObject[], options: ApplyOptions): Promise<ApplyResult>;
  /** Refuses to delete what others need, naming the users; `cascade` deletes them as well. */
  remove(
    refs: readonly ObjectRef[],
    options?: { readonly cascade?: boolean; readonly dryRun?: boolean },
  ): Promise<ApplyResult>;
  /** Never throws; objects with errors are not among `objects`. */
  parse(text: string, options?: ParseOptions): ParseResult;
  get<K extends Kind>(kind: K, name: string): ObjectViews[K] | undefined;
  /** Ordered by name. */
  list<K extends Kind>(kind: K, filter?: { readonly tenant?: string }): readonly ObjectViews[K][];
  /** What the intent of an object says, without what a view works out; costs nothing. A policy's is without its rules. */
  declared<K extends Kind>(kind: K, name: string): ObjectViews[K]['spec'] | undefined;
  /** Everything whose intent names this owner; looks through all objects. */
  ownedBy(owner: string): readonly ObjectRef[];

  claimHost(claim: HostClaim): Promise<ObjectViews['Host']>;
  /** Finds or declares, and notes the use. Rejects with `network.differs`, and with whatever refuses an intent. */
  requestNetwork(request: NetworkRequest): Promise<NetworkDescription>;
  /** Ends a use; the network goes with the last one when its runtime declared it. */
  releaseNetwork(use: NetworkUseParams): Promise<{ readonly released: boolean; readonly removed: boolean }>;
  /** Ordered by name. */
  networks(tenant?: string): readonly NetworkDescription[];
  /** Resolves with the address, without prefix length. Rejects with `network.exhausted`, `network.family`, `endpoint.ip…`. */
  reserveAddress(request: AddressRequest): Promise<string>;
  releaseAddress(params: AddressParams): Promise<{ readonly released: boolean }>;
  leasesOfHost(host: string): HostLeases;

  /** Finds or allocates. Rejects with `network.unknown` while the network has not arrived. */
  requestEndpoint(request: EndpointRequestParams): Promise<EndpointView>;
  /** What a name, without a domain, means to an endpoint; at most `limit` addresses. */
  lookUpName(asker: EndpointId, name: string, limit: number): NamedAddresses;
  /** Whose address it is to an endpoint. */
  lookUpAddress(asker: EndpointId, address: string): NamedAddresses;
  attach(params: AttachParams): Promise<AttachResult>;
  detach(params: DetachParams): Promise<{ readonly detached: boolean }>;
  mergeSnapshot(snapshot: Snapshot): Promise<SnapshotResult>;
  endpoint(id: EndpointId): EndpointView | undefined;
  /** Endpoints bound to or attached on the host. */
  endpointsOfHost(host: string): readonly EndpointView[];
  /** Endpoints of a network. */
  endpointsOfNetwork(network: NetworkId): readonly EndpointView[];

  /** Everything, ordered by kind and key. */
  facts(): readonly FactChange[];
  /** Called after commit, in commit order, once per transaction. The returned function ends that. */
  onFacts(listener: (changes: readonly FactChange[]) => void): () => void;

  jsonSchema(): Record<string, unknown>;
  readonly netplugin: Netplugin;
  /** Waits for what is under way; the store stays open. */
  close(): Promise<void>;
}

export type OpenModel = (store: Store, options?: ModelOptions) => Promise<Model>;
