/** What Weft needs to know of a cluster's objects, and nothing else of them: ten thousand pods are kept in memory. */
import type { V1NetworkPolicySpec } from '@kubernetes/client-node';

/** An object of the API as JSON has it: times are text, and the members that TypeScript's generator renames have their own names. */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? readonly Wire<Item>[]
    : T extends object
      ? { readonly [K in keyof T as K extends '_from' ? 'from' : K]: Wire<T[K]> }
      : T;

export type Labels = Readonly<Record<string, string>>;

export interface NamespaceFact {
  readonly name: string;
  readonly labels: Labels;
}

export interface PodPort {
  readonly name: string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  /** Of the container. */
  readonly port: number;
}

export interface PodFact {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  /** Absent: not scheduled yet. */
  readonly node?: string;
  readonly hostNetwork: boolean;
  /** All of its containers have ended for good: its phase is Succeeded or Failed. */
  readonly finished: boolean;
  /** Those that have names, in the order of containers. */
  readonly ports: readonly PodPort[];
  /** Addresses that its kubelet reports. */
  readonly addresses: readonly string[];
}

export interface NetworkPolicyFact {
  readonly namespace: string;
  readonly name: string;
  readonly spec: Wire<V1NetworkPolicySpec>;
}

export interface NodeFact {
  readonly name: string;
  /** Label of the host that its agent runs as. */
  readonly host: string;
  readonly ready: boolean;
  readonly addresses: readonly string[];
}

export interface ServicePort {
  readonly name?: string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly port: number;
  readonly targetPort: number | string;
}

/** A Service with addresses of its own (type ClusterIP, and the others that have them as well). */
export interface ServiceFact {
  readonly namespace: string;
  readonly name: string;
  readonly clusterIps: readonly string[];
  readonly ports: readonly ServicePort[];
  /** Absent: its endpoints are not chosen by labels. */
  readonly selector?: Labels;
}

/** Facts of each resource that is watched. */
export interface Facts {
  readonly namespaces: NamespaceFact;
  readonly pods: PodFact;
  readonly networkpolicies: NetworkPolicyFact;
  readonly nodes: NodeFact;
  readonly services: ServiceFact;
}
export type Resource = keyof Facts;

/** An object that says something it cannot mean. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}
