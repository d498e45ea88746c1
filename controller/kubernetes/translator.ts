/** Keeps the intents in step with the facts: a changed fact is translated again, and what depends on it, and nothing else. */
import { MultiMap } from '../model/multi-map.js';
import { DesiredIntents } from './desired.js';
import type { Facts, NamespaceFact, NodeFact, PodFact, Resource } from './facts.js';
import { networkPolicyIntents } from './network-policies.js';
import { nameIn } from './names.js';
import { hasEndpoint, type Place, podEndpoint } from './pods.js';

export type FactsOf = { readonly [R in Resource]: ReadonlyMap<string, Facts[R]> };

export class Translator {
  readonly desired = new DesiredIntents();
  readonly #podsOfNamespace = new MultiMap();
  readonly #podsOfNode = new MultiMap();
  /** Endpoint -> addresses that its kubelet reports. */
  readonly #addresses = new Map<string, readonly string[]>();

  constructor(
    private readonly place: Place,
    /** As the reflectors have them now. */
    private readonly facts: () => FactsOf,
  ) {}

  /** Addresses that the pod of an endpoint has already, as its kubelet says. */
  addressesOf(endpoint: string): readonly string[] {
    return this.#addresses.get(endpoint) ?? [];
  }

  changed<R extends Resource>(
    resource: R,
    key: string,
    fact: Facts[R] | undefined,
    before: Facts[R] | undefined,
  ): void {
    if (resource === 'pods') this.#pod(key, fact as PodFact | undefined, before as PodFact | undefined);
    else if (resource === 'namespaces') {
      for (const pod of this.#podsOfNamespace.get(key)) this.#translatePod(pod);
    } else if (resource === 'nodes') {
      const [now, then] = [fact, before] as [NodeFact | undefined, NodeFact | undefined];
      if ((now?.host ?? key) !== (then?.host ?? key))
        for (const pod of this.#podsOfNode.get(key)) this.#translatePod(pod);
    } else if (resource === 'networkpolicies') {
      const policy = fact as Facts['networkpolicies'] | undefined;
      this.desired.set(
        `networkpolicies ${key}`,
        policy === undefined ? [] : networkPolicyIntents(policy, this.place.tenant),
      );
    }
  }

  #pod(key: string, pod: PodFact | undefined, before: PodFact | undefined): void {
    const { tenant, network } = this.place;
    if (before !== undefined) {
      this.#podsOfNamespace.delete(before.namespace, key);
      if (before.node !== undefined) this.#podsOfNode.delete(before.node, key);
      this.#addresses.delete(`${tenant}/${network}/${nameIn(before.namespace, before.name)}`);
    }
    if (pod !== undefined) {
      this.#podsOfNamespace.add(pod.namespace, key);
      if (pod.node !== undefined) this.#podsOfNode.add(pod.node, key);
      if (pod.addresses.length > 0)
        this.#addresses.set(`${tenant}/${network}/${nameIn(pod.namespace, pod.name)}`, pod.addresses);
    }
    this.#translatePod(key, pod);
  }

  #translatePod(key: string, pod: PodFact | undefined = this.facts().pods.get(key)): void {
    const source = `pods ${key}`;
    const { namespaces, nodes } = this.facts();
    const namespace: NamespaceFact | undefined = pod && namespaces.get(pod.namespace);
    // Without the labels of its namespace nobody knows its policies: it waits for them.
    if (pod === undefined || !hasEndpoint(pod) || namespace === undefined)
      return this.desired.set(source, []);
    const host = nodes.get(pod.node)?.host ?? pod.node;
    this.desired.set(source, [podEndpoint(pod, namespace.labels, host, this.place)]);
  }
}
