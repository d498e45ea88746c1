/**
 * The desired tables of all switches: facts in, entries in scopes out. No switch is needed for it, so apps are tested against it.
 *
 *     const desired = new DesiredTables({ pipeline, apps });
 *     desired.facts.networks.set('acme/web', …);
 *     desired.settle();
 *     desired.entries(datapathId)
 */
import {
  type Collection,
  type Context,
  type Derived,
  type DeriveOptions,
  Engine,
  type Input,
  type Settlement,
} from '../derive/index.js';
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
  TableRow,
  TenantFact,
} from '../model/facts.js';
import { Alterations } from './alterations.js';
import type { App, AppDeclaration, EntryContext, Facts, RuleName } from './app.js';
import { type CompiledEntry, EntryCompiler, missEntry, type Owner } from './compile.js';
import { type DesiredEntry, type QueueSpec, SCOPE_KINDS, type ScopeName, scopeKind } from './entry.js';
import { HostTables } from './host-tables.js';
import { ObjectNames } from './object-names.js';
import { type Problem, type ProblemChange, ProblemTable } from './problems.js';
import type { Pipeline, Side, Table, TransitionDeclaration } from './pipeline.js';
import { QueueTable } from './queues.js';
import { type EntryConflict, type Rule, type ScopeChanges, ScopeTables } from './scopes.js';
import { judgedAgain, Transition, TRANSITION_SCOPE } from './transition.js';

/** A port as its switch describes it; key: `<datapathId>/<name>`. Its host is found among the host facts. */
export type SwitchPort = Omit<PortFact, 'host'>;

/** What is written from outside. */
export interface FactInputs {
  readonly tenants: Input<TenantFact>;
  readonly networks: Input<NetworkFact>;
  readonly endpoints: Input<EndpointFact>;
  readonly hosts: Input<HostFact>;
  readonly ports: Input<SwitchPort>;
  readonly groups: Input<GroupFact>;
  readonly addressSets: Input<AddressSetFact>;
  readonly policies: Input<PolicyFact>;
  readonly rules: Input<RuleFact>;
  readonly qosProfiles: Input<QosProfileFact>;
  readonly multicastReceivers: Input<MulticastReceiverFact>;
  readonly multicastRouters: Input<MulticastRouterFact>;
  readonly distributions: Input<DistributionFact>;
  readonly fabricPorts: Input<FabricPortFact>;
  readonly links: Input<LinkFact>;
  readonly stations: Input<StationFact>;
  readonly floodPorts: Input<FloodPortFact>;
  readonly awaySwitches: Input<AwaySwitchFact>;
  readonly fabricMulticast: Input<FabricMulticastFact>;
  readonly snoopedVlans: Input<SnoopedVlanFact>;
  readonly fabricReceivers: Input<FabricReceiverFact>;
  readonly fabricRouters: Input<FabricRouterFact>;
}

/** What a rule emits. */
type Emission =
  | ({ readonly scope: ScopeName } & CompiledEntry)
  | { readonly scope: ScopeName; readonly datapathId: DatapathId }
  | { readonly problem: Problem; readonly datapathId: DatapathId }
  | { readonly queue: QueueSpec; readonly host: string }
  | { readonly row: TableRow; readonly rowScope: string; readonly name: string }
  | { readonly carrier: string; readonly rowScope: string };

export interface DesiredTablesOptions {
  readonly pipeline: Pipeline;
  readonly apps: readonly App[];
}

/** What one settlement did to the desired tables. */
export interface DesiredChanges extends ScopeChanges {
  readonly settlement: Settlement;
  readonly problems: readonly ProblemChange[];
  /** Hosts whose queues changed. */
  readonly queues: readonly string[];
  /** By host without OpenFlow: keys of the rows that changed. */
  readonly rows: ReadonlyMap<string, ReadonlySet<string>>;
}

/** The pipeline's own rules: table misses, and the subscriptions of claimed switches. */
const PIPELINE_APP = { name: 'pipeline', id: 0 } as const;

const MAX_APP_ID = 255;
const MAX_RULES = 4095;

export class DesiredTables {
  readonly engine = new Engine();
  readonly facts: FactInputs;
  readonly pipeline: Pipeline;
  readonly scopes = new ScopeTables();
  readonly problems = new ProblemTable();
  readonly queues = new QueueTable();
  readonly hostTables = new HostTables();
  readonly #compiler: EntryCompiler;
  readonly #facts: Facts;
  readonly #rules: { readonly rule: Rule; readonly owner: Owner; readonly emissions: Derived<Emission> }[] =
    [];
  readonly #alterations = new Alterations();
  readonly #shared = new Map<string, unknown>();
  readonly #owners = new Map<number, Owner[]>();
  readonly #ownersByName = new Map<string, Owner>();
  readonly #objectNames: ObjectNames;

  constructor({ pipeline, apps }: DesiredTablesOptions) {
    this.pipeline = pipeline;
    this.#compiler = new EntryCompiler(pipeline);
    this.facts = {
      tenants: this.engine.input('tenants'),
      networks: this.engine.input('networks'),
      endpoints: this.engine.input('endpoints'),
      hosts: this.engine.input('hosts'),
      ports: this.engine.input('switch ports'),
      groups: this.engine.input('groups'),
      addressSets: this.engine.input('address sets'),
      policies: this.engine.input('policies'),
      rules: this.engine.input('rules'),
      qosProfiles: this.engine.input('QoS profiles'),
      multicastReceivers: this.engine.input('multicast receivers'),
      multicastRouters: this.engine.input('multicast routers'),
      distributions: this.engine.input('distributions'),
      fabricPorts: this.engine.input('fabric ports'),
      links: this.engine.input('links'),
      stations: this.engine.input('stations'),
      floodPorts: this.engine.input('flood ports'),
      awaySwitches: this.engine.input('away switches'),
      fabricMulticast: this.engine.input('fabric multicast'),
      snoopedVlans: this.engine.input('snooped VLANs'),
      fabricReceivers: this.engine.input('fabric receivers'),
      fabricRouters: this.engine.input('fabric routers'),
    };
    this.#objectNames = new ObjectNames(this.facts);
    this.#facts = this.#declareFacts();
    for (const app of checkApps(apps)) app.declare(this.#declarationFor(app));
  }

  /**
   * Derives what follows from the facts as they are now.
   * @param stage what is done to the scopes before it is said what changed, by the sides of the judgement that are altered
   */
  settle(stage: (sides: ReadonlySet<Side>) => void = () => {}): DesiredChanges {
    const settlement = this.engine.settle();
    this.#objectNames.forget();
    for (const { rule, emissions } of this.#rules) {
      for (const { before, after } of settlement.changesOf(emissions)) this.#apply(rule, before, after);
    }
    stage(this.#alterations.sidesOf(settlement));
    return {
      settlement,
      problems: this.problems.takeChanges(),
      queues: this.queues.takeChanges(),
      rows: this.hostTables.takeChanges(),
      ...this.scopes.takeChanges(),
    };
  }

  /** What is pending in the scopes will be made in two steps, as far as the transition is told to. */
  beginTransition(declaration: TransitionDeclaration): Transition {
    const owner = this.#ownersByName.get('pipeline.transition') as Owner;
    const again = this.#compiler.flow(owner, TRANSITION_SCOPE, judgedAgain(declaration));
    return new Transition(this.scopes, declaration, { order: -1, name: owner.name }, again);
  }

  /** The desired table of a switch; empty if no agent claims it. */
  *entries(datapathId: DatapathId): IterableIterator<DesiredEntry> {
    for (const { entry } of this.scopes.effectiveEntries(datapathId)) yield entry;
  }

  /** Entries that two rules ask for differently, as long as they do. */
  conflicts(): EntryConflict[] {
    return [...this.scopes.conflicts];
  }

  /** By the numbers in a cookie; undefined where there is no such rule (an entry of another version). */
  owner(app: number, rule: number): Owner | undefined {
    return this.#owners.get(app)?.[rule - 1];
  }

  /** By `<app>.<rule>`. */
  ownerNamed(name: string): Owner | undefined {
    return this.#ownersByName.get(name);
  }

  /** The name of what an entry of a rule is about: `acme/web/a`. Undefined where the rule does not say what it is, and where it is gone. */
  objectName({ object: kind }: Owner, number: number): string | undefined {
    if (kind === undefined) return undefined;
    return kind === 'table' ? this.pipeline.order[number]?.name : this.#objectNames.nameOf(kind, number);
  }

  #apply(rule: Rule, before: Emission | undefined, after: Emission | undefined): void {
    const emission = (after ?? before) as Emission;
    if ('problem' in emission) {
      const { datapathId, problem } = emission;
      const key = `${rule.name} ${problem.code} ${problem.subject}`;
      this.problems.put(datapathId, key, after === undefined ? undefined : problem);
    } else if ('queue' in emission) {
      const { host, queue } = emission;
      this.queues.put(host, queue.queue, after === undefined ? undefined : queue);
    } else if ('row' in emission) {
      const { rowScope, name, row } = emission;
      this.hostTables.put(rowScope, name, after === undefined ? undefined : row);
    } else if ('carrier' in emission) {
      this.hostTables.carry(emission.carrier, emission.rowScope, after === undefined ? -1 : 1);
    } else if ('datapathId' in emission)
      this.scopes.subscribe(emission.datapathId, emission.scope, after === undefined ? -1 : 1);
    else
      this.scopes.put(rule, emission.scope, emission.key, after === undefined ? undefined : emission.entry);
  }

  #declareFacts(): Facts {
    const { engine, facts } = this;
    const { tenants, networks, endpoints, hosts } = facts;
    const { groups, addressSets, policies, rules, qosProfiles } = facts;
    const { multicastReceivers, multicastRouters, distributions } = facts;
    const { fabricPorts, links, stations, floodPorts, awaySwitches } = facts;
    const { fabricMulticast, snoopedVlans, fabricReceivers, fabricRouters } = facts;
    const claims = engine.derive<HostFact, string>('claims', hosts, (context, host) => {
      if (host.datapathId !== undefined) context.emit(host.datapathId, host.name);
    });
    const ports = engine.derive<SwitchPort, PortFact>('ports', facts.ports, (context, port, key) =>
      context.emit(key, { ...port, host: context.get(claims, port.datapathId) ?? port.datapathId }),
    );
    this.#declarePipelineRules(claims);
    return {
      tenants,
      networks,
      endpoints,
      hosts,
      ports,
      groups,
      addressSets,
      policies,
      rules,
      qosProfiles,
      multicastReceivers,
      multicastRouters,
      distributions,
      fabricPorts,
      links,
      stations,
      floodPorts,
      awaySwitches,
      fabricMulticast,
      snoopedVlans,
      fabricReceivers,
      fabricRouters,
      networksByTenant: engine.index('networks by tenant', networks, ({ tenant }) => [tenant]),
      endpointsByNetwork: engine.index('endpoints by network', endpoints, ({ network }) => [network]),
      endpointsByHost: engine.index('endpoints by host', endpoints, ({ host }) =>
        host === undefined ? [] : [host],
      ),
      hostsByDatapath: engine.index('hosts by datapath', hosts, ({ datapathId }) =>
        datapathId === undefined ? [] : [datapathId],
      ),
      portsByDatapath: engine.index('ports by datapath', ports, ({ datapathId }) => [datapathId]),
    };
  }

  /** Order matters: the rule's number is in the cookies of entries on switches. */
  #declarePipelineRules(claims: Collection<string>): void {
    const tables = this.engine.input<Table>('pipeline tables');
    for (const table of this.pipeline.order) tables.set(table.name, table);
    this.#rule(PIPELINE_APP, { name: 'miss', object: 'table' }, tables, (owner) => (context, table) => {
      const { key, entry } = missEntry(owner, table);
      context.emit(`global ${key}`, { scope: 'global', key, entry });
    });
    this.#rule(PIPELINE_APP, { name: 'claimed switches' }, claims, () => (context, host, datapathId) => {
      emitSubscription(context, datapathId, 'global');
      emitSubscription(context, datapathId, `host:${host}`);
    });
    this.#owner(PIPELINE_APP, { name: 'transition' });
  }

  #declarationFor(app: App): AppDeclaration {
    const { engine } = this;
    const named = (name: string): string => `${app.name}.${name}`;
    const declaration: AppDeclaration = {
      facts: this.#facts,
      index: (name, source, bucketsOf) => engine.index(named(name), source, bucketsOf),
      derive: (name, each, run) => engine.derive(named(name), each, run),
      entries: <S>(
        name: string | RuleName,
        each: Collection<S>,
        run: (context: EntryContext, value: S, key: string) => void,
        options?: DeriveOptions,
      ) => {
        const create = (owner: Owner) => {
          const entries = new RuleContext(this.#compiler, owner);
          return (context: Context<Emission>, value: S, key: string) =>
            run(entries.over(context), value, key);
        };
        this.#rule(app, typeof name === 'string' ? { name } : name, each, create, options);
      },
      alters: (collection, sidesOf) => this.#alterations.declare(collection, sidesOf),
      shared: <T>(name: string, create: (declaration: AppDeclaration) => T): T => {
        if (!this.#shared.has(name)) this.#shared.set(name, create(declaration));
        return this.#shared.get(name) as T;
      },
    };
    return declaration;
  }

  #rule<S>(
    app: Owner['app'],
    name: Pick<Owner, 'name' | 'object'>,
    each: Collection<S>,
    create: (owner: Owner) => (context: Context<Emission>, value: S, key: string) => void,
    options?: DeriveOptions,
  ): void {
    const owner = this.#owner(app, name);
    const rule: Rule = { order: this.#rules.length, name: owner.name };
    const emissions = this.engine.derive(owner.name, each, create(owner), options);
    this.#rules.push({ rule, owner, emissions });
  }

  #owner(app: Owner['app'], { name, object }: Pick<Owner, 'name' | 'object'>): Owner {
    const owners = this.#owners.get(app.id) ?? [];
    const fullName = `${app.name}.${name}`;
    const owner: Owner = {
      app,
      rule: owners.length + 1,
      name: fullName,
      ...(object === undefined ? {} : { object }),
    };
    if (owner.rule > MAX_RULES) throw new RangeError(`app '${app.name}' has more than ${MAX_RULES} rules`);
    this.#owners.set(app.id, [...owners, owner]);
    this.#ownersByName.set(fullName, owner);
    return owner;
  }
}

/** One per rule, reused for all its runs: adds the checks of the pipeline to the context of the engine. */
class RuleContext implements EntryContext {
  #context!: Context<Emission>;

  constructor(
    private readonly compiler: EntryCompiler,
    private readonly owner: Owner,
  ) {}

  over(context: Context<Emission>): EntryContext {
    this.#context = context;
    return this;
  }

  readonly get: EntryContext['get'] = (collection, key) => this.#context.get(collection, key);
  readonly keys: EntryContext['keys'] = (index, bucket) => this.#context.keys(index, bucket);
  readonly values: EntryContext['values'] = (index, bucket) => this.#context.values(index, bucket);
  readonly flow: EntryContext['flow'] = (scope, spec) =>
    this.#emit(scope, this.compiler.flow(this.owner, checkScope(scope), spec));
  readonly group: EntryContext['group'] = (scope, spec) =>
    this.#emit(checkScope(scope), this.compiler.group(this.owner, spec));
  readonly meter: EntryContext['meter'] = (scope, spec) =>
    this.#emit(checkScope(scope), this.compiler.meter(this.owner, spec));
  readonly subscribe: EntryContext['subscribe'] = (datapathId, scope) =>
    emitSubscription(this.#context, datapathId, checkScope(scope));
  readonly report: EntryContext['report'] = (datapathId, problem) =>
    this.#context.emit(`${datapathId} has ${problem.code} ${problem.subject}`, { datapathId, problem });
  readonly queue: EntryContext['queue'] = (host, queue) =>
    this.#context.emit(`queue ${queue.queue} of ${host}`, { host, queue });
  readonly row: EntryContext['row'] = (scope, name, row) =>
    this.#context.emit(`row ${scope} ${name}`, { row, rowScope: scope, name });
  readonly carry: EntryContext['carry'] = (host, scope) =>
    this.#context.emit(`${host} carries ${scope}`, { carrier: host, rowScope: scope });

  #emit(scope: ScopeName, { key, entry }: CompiledEntry): void {
    this.#context.emit(`${scope} ${key}`, { scope, key, entry });
  }
}

function emitSubscription(context: Context<Emission>, datapathId: DatapathId, scope: ScopeName): void {
  context.emit(`${datapathId} subscribes to ${scope}`, { scope, datapathId });
}

function checkScope(scope: ScopeName): ScopeName {
  if (SCOPE_KINDS.includes(scopeKind(scope))) return scope;
  throw new RangeError(`scope '${scope}': there is no such kind; take one of ${SCOPE_KINDS.join(', ')}`);
}

function checkApps(apps: readonly App[]): readonly App[] {
  const names = new Set<string>([PIPELINE_APP.name]);
  const ids = new Set<number>([PIPELINE_APP.id]);
  for (const { name, id } of apps) {
    if (!Number.isInteger(id) || id < 1 || id > MAX_APP_ID) {
      throw new RangeError(`app '${name}': id ${id}; take an integer from 1 to ${MAX_APP_ID}`);
    }
    if (ids.has(id)) throw new RangeError(`app '${name}': id ${id} is taken; choose another and keep it`);
    if (names.has(name)) throw new RangeError(`app '${name}' is there twice`);
    names.add(name);
    ids.add(id);
  }
  return apps;
}
