/** What an app is: a set of derivations from facts to entries, declared once. Apps never send anything. */
import type { Change, Collection, Context, Derived, DeriveOptions, Index } from '../derive/index.js';
import type {
  AddressSetFact,
  AwaySwitchFact,
  DatapathId,
  DistributionFact,
  EndpointFact,
  FabricMulticastFact,
  FabricPortFact,
  FabricReceiverFact,
  FabricRouterFact,
  FloodPortFact,
  GroupFact,
  HostFact,
  LinkFact,
  MulticastReceiverFact,
  MulticastRouterFact,
  NetworkFact,
  PolicyFact,
  PortFact,
  QosProfileFact,
  RuleFact,
  SnoopedVlanFact,
  StationFact,
  TenantFact,
} from '../model/facts.js';
import type { TableRow } from '../model/facts.js';
import type { ObjectKind } from './object-names.js';
import type { Problem } from './problems.js';
import type { Side } from './pipeline.js';
import type { FlowSpec, GroupSpec, MeterSpec, QueueSpec, ScopeName } from './entry.js';

/** The facts, and indexes over them that more than one app reads. */
export interface Facts {
  /** By name. */
  readonly tenants: Collection<TenantFact>;
  /** By id. */
  readonly networks: Collection<NetworkFact>;
  /** By id. */
  readonly endpoints: Collection<EndpointFact>;
  /** By name. */
  readonly hosts: Collection<HostFact>;
  /** By `<datapathId>/<name>`. Ports stay while their switch is away. */
  readonly ports: Collection<PortFact>;
  /** By id. */
  readonly groups: Collection<GroupFact>;
  /** By id. */
  readonly addressSets: Collection<AddressSetFact>;
  /** By id. */
  readonly policies: Collection<PolicyFact>;
  /** By id. */
  readonly rules: Collection<RuleFact>;
  /** By id. */
  readonly qosProfiles: Collection<QosProfileFact>;
  /** By `<number of network>/<group>/<place>`. */
  readonly multicastReceivers: Collection<MulticastReceiverFact>;
  /** By `<number of network>/<place>`. */
  readonly multicastRouters: Collection<MulticastRouterFact>;
  /** By `<number of network>`, or `<number of network>/<group>`. */
  readonly distributions: Collection<DistributionFact>;
  /** By `<datapathId>/<port number>`; of fabric switches, as are the next two. */
  readonly fabricPorts: Collection<FabricPortFact>;
  /** By `<datapathId>/<port number>`. */
  readonly links: Collection<LinkFact>;
  /** By `<VLAN id>/<MAC>`. */
  readonly stations: Collection<StationFact>;
  /** By `<class>/<datapathId>/<port number>`. */
  readonly floodPorts: Collection<FloodPortFact>;
  /** By datapath id; fabric switches only. */
  readonly awaySwitches: Collection<AwaySwitchFact>;
  /** One at most; of the fabric, as are the next three. */
  readonly fabricMulticast: Collection<FabricMulticastFact>;
  /** By VLAN id. */
  readonly snoopedVlans: Collection<SnoopedVlanFact>;
  /** By `<VLAN id>/<group>/<MAC>`. */
  readonly fabricReceivers: Collection<FabricReceiverFact>;
  /** By `<VLAN id>/<datapathId>/<port number>`. */
  readonly fabricRouters: Collection<FabricRouterFact>;
  /** Networks by name of tenant. */
  readonly networksByTenant: Index<NetworkFact>;
  /** Endpoints by id of network. */
  readonly endpointsByNetwork: Index<EndpointFact>;
  /** Endpoints by name of host; those without a host are in no bucket. */
  readonly endpointsByHost: Index<EndpointFact>;
  /** Hosts by datapath id. */
  readonly hostsByDatapath: Index<HostFact>;
  /** Ports by datapath id. */
  readonly portsByDatapath: Index<PortFact>;
}

/** What a derivation of entries sees. Reads are recorded, as in any derivation. */
export interface EntryContext extends Omit<Context<never>, 'emit'> {
  /** Asks for a flow entry in a scope. @throws PipelineError where it is not what its table declares. */
  flow(scope: ScopeName, flow: FlowSpec): void;
  group(scope: ScopeName, group: GroupSpec): void;
  meter(scope: ScopeName, meter: MeterSpec): void;
  /** Puts the entries of a scope onto a switch. `global` and `host:<name>` go to the switch of each claimed host by themselves. */
  subscribe(datapathId: DatapathId, scope: ScopeName): void;
  /**
   * Tells people of facts that cannot work as they stand; it stands in the status of the switch as long as it is reported. Reports
   * of one problem by several instances are one.
   */
  report(datapathId: DatapathId, problem: Problem): void;
  /** Asks for a queue on the uplinks of a host, which its agent makes. */
  queue(host: string, queue: QueueSpec): void;
  /** Asks for a row of the tables of hosts without OpenFlow. `scope` is text of the app's own, `name` unique in it. */
  row(scope: string, name: string, row: TableRow): void;
  /** Puts the rows of a scope into the table of a host. */
  carry(host: string, scope: string): void;
}

/**
 * The name of a rule, and the kind of object that the `object` of its entries is the number of, so that explanations can name it:
 * numbers of different kinds are equal. Where it is absent (or the name stands alone), `object` is a code of the app's own.
 */
export interface RuleName {
  readonly name: string;
  readonly object?: ObjectKind;
}

/**
 * What an app may declare. Names are within the app; they appear in errors, counters and status as `<app>.<name>`. Everything is
 * declared before the first settlement and may read what was declared before, by this app or those before it.
 */
export interface AppDeclaration {
  readonly facts: Facts;
  /** An index over facts or derived values. */
  index<V>(
    name: string,
    source: Collection<V>,
    bucketsOf: (value: V, key: string) => readonly string[],
  ): Index<V>;
  /** An intermediate collection. */
  derive<S, V>(
    name: string,
    each: Collection<S>,
    run: (context: Context<V>, value: S, key: string) => void,
  ): Derived<V>;
  /**
   * A rule: entries, and subscriptions to scopes, for each key of a collection. The order of an app's rules is their number in
   * cookies, so append new ones.
   */
  entries<S>(
    name: string | RuleName,
    each: Collection<S>,
    run: (context: EntryContext, value: S, key: string) => void,
    options?: DeriveOptions,
  ): void;
  /**
   * Says which sides of the judgement (`Side`) a change of a fact can alter, `before` absent: it came, `after` absent: it went. Changes that alter
   * two sides at once are made in two steps, where the pipeline declares how (`transition.ts`).
   */
  alters<S>(collection: Collection<S>, sidesOf: (change: Change<S>) => readonly Side[]): void;
  /** Something that several apps declare together: `create` runs for the first who asks, under that app's name. */
  shared<T>(name: string, create: (declaration: AppDeclaration) => T): T;
}

export interface App {
  /** Lower case, unique. */
  readonly name: string;
  /** 1 to 255, unique and never changed: it is in the cookies of entries on switches. 0 is the pipeline itself. */
  readonly id: number;
  declare(declaration: AppDeclaration): void;
}
