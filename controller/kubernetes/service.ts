/** The watcher, put together: reflectors of the resources, the translation, the committer. */
import type { Logger } from '../log.js';
import type { MetricFamily } from '../metrics.js';
import type { Model } from '../model/types.js';
import type { ClusterAccess } from './access.js';
import { ApiClient } from './api-client.js';
import { Committer } from './committer.js';
import type { Facts, NodeFact, Resource, ServiceFact } from './facts.js';
import { kubernetesMetrics } from './metrics.js';
import { networkPolicyIntents } from './network-policies.js';
import { type PlaceOptions, placeProblems } from './place.js';
import { Reflector, type ReflectorTimes } from './reflector.js';
import { type FactsOf, Translator } from './translator.js';
import type { KubernetesReport } from './types.js';

export interface KubernetesTimes extends ReflectorTimes {
  readonly resyncMs: number;
  readonly retry: { readonly minMs: number; readonly maxMs: number };
}

export interface KubernetesOptions {
  readonly model: Model;
  readonly access: ClusterAccess;
  readonly place: PlaceOptions;
  readonly pageSize: number;
  /** Most objects of one transaction. */
  readonly batchSize: number;
  readonly times: KubernetesTimes;
  readonly logger: Logger;
}

const RESOURCES: readonly Resource[] = ['namespaces', 'nodes', 'networkpolicies', 'pods', 'services'];
/** Nothing is declared or deleted before these have been listed: a pod has its policies, and lives on its host, from the beginning. */
const NEEDED: readonly Resource[] = ['namespaces', 'nodes', 'networkpolicies', 'pods'];

export class KubernetesService {
  readonly #reflectors: { readonly [R in Resource]: Reflector<R> };
  readonly #translator: Translator;
  readonly #committer: Committer;
  readonly #stop = new AbortController();
  #running: Promise<unknown> | undefined;

  constructor(private readonly options: KubernetesOptions) {
    const { model, access, place, batchSize, times, logger } = options;
    const client = new ApiClient(access);
    this.#translator = new Translator(place, () => this.#facts());
    this.#committer = new Committer({
      model,
      desired: this.#translator.desired,
      place,
      addressesOf: (endpoint) => this.#translator.addressesOf(endpoint),
      batchSize,
      resyncMs: times.resyncMs,
      retry: times.retry,
      logger,
    });
    this.#reflectors = {
      namespaces: this.#reflector('namespaces', client),
      nodes: this.#reflector('nodes', client),
      networkpolicies: this.#reflector('networkpolicies', client, (policy) => {
        networkPolicyIntents(policy, place.tenant);
      }),
      pods: this.#reflector('pods', client),
      services: this.#reflector('services', client),
    };
  }

  /** Begins to follow the cluster; whether that works the report tells. */
  start(): void {
    const { signal } = this.#stop;
    const { access, place, logger } = this.options;
    const { tenant, network } = place;
    logger.info(
      { event: 'kubernetes.started', server: access.server, tenant, network },
      `following the cluster at ${access.server}`,
    );
    this.#running ??= Promise.all(RESOURCES.map((resource) => this.#reflectors[resource].run(signal)));
  }

  /** What has been declared stays. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#committer.stop();
  }

  /** Everything that has been heard is in the model, but for what is refused. */
  async settled(): Promise<void> {
    await this.#committer.idle();
  }

  /** Nodes of the cluster and the hosts that they are. */
  nodes(): readonly NodeFact[] {
    return [...this.#reflectors.nodes.facts.values()];
  }

  /** Services with addresses of their own; the model has none yet. */
  services(): readonly ServiceFact[] {
    return [...this.#reflectors.services.facts.values()];
  }

  report(): KubernetesReport {
    const { model, access, place } = this.options;
    const reflectors = RESOURCES.map((resource) => this.#reflectors[resource]);
    return {
      enabled: true,
      server: access.server,
      tenant: place.tenant,
      network: place.network,
      synced: this.#committer.synced,
      settled: this.#committer.settled,
      resources: reflectors.map((reflector) => reflector.status()),
      declared: this.#translator.desired.size,
      ...this.#committer.counts,
      refused: [...reflectors.flatMap((reflector) => reflector.refused()), ...this.#committer.refused()],
      nodes: this.nodes(),
      services: this.services(),
      problems: placeProblems(model, place),
    };
  }

  metrics(): readonly MetricFamily[] {
    return kubernetesMetrics(this.report(), Date.now());
  }

  #facts(): FactsOf {
    return {
      namespaces: this.#reflectors.namespaces.facts,
      nodes: this.#reflectors.nodes.facts,
      networkpolicies: this.#reflectors.networkpolicies.facts,
      pods: this.#reflectors.pods.facts,
      services: this.#reflectors.services.facts,
    };
  }

  #reflector<R extends Resource>(
    resource: R,
    client: ApiClient,
    validate?: (fact: Facts[R]) => void,
  ): Reflector<R> {
    const { pageSize, times, logger } = this.options;
    return new Reflector<R>({
      resource,
      client,
      pageSize,
      times,
      logger,
      ...(validate === undefined ? {} : { validate }),
      onChange: (key, fact, before) => {
        this.#translator.changed(resource, key, fact, before);
        this.#committer.schedule();
      },
      onSynced: () => {
        if (NEEDED.every((needed) => this.#reflectors[needed].synced)) this.#committer.start();
      },
    });
  }
}
