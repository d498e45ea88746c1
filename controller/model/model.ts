/** The model, put together: intents and what agents say, validated, allocated, kept in the store, told as facts. */
import type { Store } from '../store/store.js';
import { applyOperation, checkObjects, removeOperation } from './apply/index.js';
import { objectsOfOwner } from './apply/owners.js';
import { TABLE_OF_KIND } from './apply/plan.js';
import type { EndpointId, FactChange, NetworkId } from './facts.js';
import { intentJsonSchema, type IntentObject, type Kind } from './intents.js';
import { forgetLocations } from './locations.js';
import { lookUpAddress, lookUpName } from './names.js';
import { NetpluginDocuments } from './netplugin/index.js';
import { parseIntents } from './parse.js';
import { DEFAULTS } from './pools.js';
import { attach, detach, requestEndpoint } from './runtime/endpoints.js';
import { claimHost } from './runtime/hosts.js';
import { leasesOfHost, networkOf, releaseAddress, reserveAddress } from './runtime/leases.js';
import { describeNetwork, releaseNetwork, requestNetwork } from './runtime/networks.js';
import { mergeSnapshot } from './runtime/snapshot.js';
import type {
  AddressParams,
  AddressRequest,
  ApplyOptions,
  ApplyResult,
  AttachParams,
  AttachResult,
  DetachParams,
  EndpointRequestParams,
  EndpointView,
  HostClaim,
  HostLeases,
  Model as ModelInterface,
  ModelDefaults,
  ModelOptions,
  NamedAddresses,
  NetworkDescription,
  NetworkRequest,
  NetworkUseParams,
  Netplugin,
  ObjectRef,
  ObjectViews,
  ParseOptions,
  ParseResult,
  Snapshot,
  SnapshotResult,
} from './types.js';
import { endpointView, present, viewOf } from './views.js';
import { Writer } from './writer.js';

type FactsListener = (changes: readonly FactChange[]) => void;

export class Model implements ModelInterface {
  readonly netplugin: Netplugin;
  readonly #writer: Writer;
  readonly #defaults: ModelDefaults;
  readonly #listeners: Set<FactsListener>;

  private constructor(writer: Writer, defaults: ModelDefaults, listeners: Set<FactsListener>) {
    this.#writer = writer;
    this.#defaults = defaults;
    this.#listeners = listeners;
    this.netplugin = new NetpluginDocuments(writer, defaults);
  }

  /**
   * Reads everything that the store holds; waits for a store that is not up yet. The store stays its owner's, who closes it
   * after the model.
   */
  static async open(store: Store, options: ModelOptions = {}): Promise<Model> {
    const listeners = new Set<FactsListener>();
    const onProblem = options.onProblem ?? (() => undefined);
    const tell = (changes: readonly FactChange[]) => {
      for (const listener of listeners) {
        try {
          listener(changes);
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          onProblem({
            severity: 'error',
            code: 'model.listener',
            message: `a listener of facts failed: ${reason}`,
          });
        }
      }
    };
    const writer = await Writer.open(store, tell, onProblem);
    return new Model(writer, { ...DEFAULTS, ...options.defaults }, listeners);
  }

  async apply(objects: readonly IntentObject[], options: ApplyOptions): Promise<ApplyResult> {
    const valid = checkObjects(objects);
    const { mode, dryRun = false } = options;
    const operation = () => applyOperation(this.#writer.state, this.#defaults, valid, { mode });
    const result = await this.#writer.run(operation, { dryRun });
    if (!dryRun) for (const object of valid) forgetLocations(object);
    return { ...result, dryRun };
  }

  async remove(
    refs: readonly ObjectRef[],
    options: { readonly cascade?: boolean; readonly dryRun?: boolean } = {},
  ): Promise<ApplyResult> {
    const { cascade = false, dryRun = false } = options;
    const operation = () => removeOperation(this.#writer.state, this.#defaults, refs, { cascade });
    return { ...(await this.#writer.run(operation, { dryRun })), dryRun };
  }

  parse(text: string, options: ParseOptions = {}): ParseResult {
    return parseIntents(text, options);
  }

  get<K extends Kind>(kind: K, name: string): ObjectViews[K] | undefined {
    const { state } = this.#writer;
    const record = state.get(TABLE_OF_KIND[kind], name);
    return record && viewOf(state, this.#defaults, kind, name, record);
  }

  list<K extends Kind>(kind: K, filter: { readonly tenant?: string } = {}): readonly ObjectViews[K][] {
    const { state } = this.#writer;
    const { tenant } = filter;
    const inTenant = (id: string) =>
      tenant === undefined ||
      (kind === 'Tenant' ? id === tenant : kind !== 'Host' && id.startsWith(`${tenant}/`));
    const entries = [...state.entries(TABLE_OF_KIND[kind])].filter(([id]) => inTenant(id));
    return entries
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([id, record]) => viewOf(state, this.#defaults, kind, id, record));
  }

  declared<K extends Kind>(kind: K, name: string): ObjectViews[K]['spec'] | undefined {
    return this.#writer.state.get(TABLE_OF_KIND[kind], name)?.spec as ObjectViews[K]['spec'] | undefined;
  }

  ownedBy(owner: string): readonly ObjectRef[] {
    return objectsOfOwner(this.#writer.state, owner);
  }

  claimHost(claim: HostClaim): Promise<ObjectViews['Host']> {
    return this.#writer.run(() => {
      claimHost(this.#writer.state, claim);
      return this.get('Host', claim.host) as ObjectViews['Host'];
    });
  }

  requestNetwork(request: NetworkRequest): Promise<NetworkDescription> {
    return this.#writer.run(() => requestNetwork(this.#writer.state, this.#defaults, request));
  }

  releaseNetwork(use: NetworkUseParams): Promise<{ readonly released: boolean; readonly removed: boolean }> {
    return this.#writer.run(() => releaseNetwork(this.#writer.state, this.#defaults, use));
  }

  networks(tenant?: string): readonly NetworkDescription[] {
    const { state } = this.#writer;
    const ids = tenant === undefined ? state.ids('network') : state.indexes.networksOfTenant.get(tenant);
    return [...ids].sort().map((id) => describeNetwork(networkOf(state, id)));
  }

  reserveAddress(request: AddressRequest): Promise<string> {
    return this.#writer.run(() => reserveAddress(this.#writer.state, request));
  }

  releaseAddress(params: AddressParams): Promise<{ readonly released: boolean }> {
    return this.#writer.run(() => ({ released: releaseAddress(this.#writer.state, params) }));
  }

  leasesOfHost(host: string): HostLeases {
    return leasesOfHost(this.#writer.state, host);
  }

  requestEndpoint(request: EndpointRequestParams): Promise<EndpointView> {
    const { state } = this.#writer;
    return this.#writer.run(
      () => endpointView(state, requestEndpoint(state, request), request.host) as EndpointView,
    );
  }

  lookUpName(asker: EndpointId, name: string, limit: number): NamedAddresses {
    return lookUpName(this.#writer.state, asker, name, limit);
  }

  lookUpAddress(asker: EndpointId, address: string): NamedAddresses {
    return lookUpAddress(this.#writer.state, asker, address);
  }

  attach(params: AttachParams): Promise<AttachResult> {
    const { state } = this.#writer;
    return this.#writer.run(() => {
      const { generation, pending, previous } = attach(state, params);
      const endpoint = pending ? undefined : endpointView(state, params.endpoint);
      return present<AttachResult>({ endpoint, generation, pending, previous });
    });
  }

  detach(params: DetachParams): Promise<{ readonly detached: boolean }> {
    return this.#writer.run(() => detach(this.#writer.state, params));
  }

  mergeSnapshot(snapshot: Snapshot): Promise<SnapshotResult> {
    return this.#writer.run(() => mergeSnapshot(this.#writer.state, snapshot));
  }

  endpoint(id: EndpointId): EndpointView | undefined {
    return endpointView(this.#writer.state, id);
  }

  endpointsOfHost(host: string): readonly EndpointView[] {
    const { state } = this.#writer;
    const { attachedOnHost, endpointsNamingHost, bindingsOfHost } = state.indexes;
    const candidates = new Set([
      ...attachedOnHost.get(host),
      ...endpointsNamingHost.get(host),
      ...bindingsOfHost.get(host),
    ]);
    // A binding may hold over the host that the endpoint itself names.
    return this.#views(candidates).filter((view) => view.host === host);
  }

  endpointsOfNetwork(network: NetworkId): readonly EndpointView[] {
    return this.#views(this.#writer.state.indexes.endpointsOfNetwork.get(network));
  }

  facts(): readonly FactChange[] {
    return this.#writer.state.facts();
  }

  onFacts(listener: FactsListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  jsonSchema(): Record<string, unknown> {
    return intentJsonSchema();
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  #views(ids: Iterable<string>): EndpointView[] {
    return [...ids]
      .sort()
      .map((id) => endpointView(this.#writer.state, id))
      .filter((view) => view !== undefined);
  }
}
