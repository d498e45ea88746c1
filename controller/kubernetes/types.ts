/** What the HTTP API, the command line and the metrics see of a cluster that is watched. */
import type { NodeFact, Resource, ServiceFact } from './facts.js';

/** An object of the cluster, or an intent made of it, that cannot be taken. */
export interface RefusedObject {
  /** `pods shop/web-0`, or of an intent `Endpoint kubernetes/pods/shop.web-0`. */
  readonly object: string;
  readonly reason: string;
}

export interface ResourceStatus {
  readonly resource: Resource;
  /** `waiting`: after a failure, until the next try. */
  readonly state: 'listing' | 'watching' | 'waiting';
  /** It has been listed once. */
  readonly synced: boolean;
  /** Known now. */
  readonly objects: number;
  /** Refused now. */
  readonly refused: number;
  /** Since the start. */
  readonly lists: number;
  /** Lists after the first: after 410 Gone, or when nothing else helped. */
  readonly relists: number;
  readonly watches: number;
  readonly events: number;
  readonly failures: number;
  readonly refusals: number;
  /** resourceVersion that it is known up to. */
  readonly version?: string;
  /** Milliseconds since 1970 of the last byte of the API that made sense: an event, a bookmark or a list. */
  readonly lastHeard?: number;
  /** Of the last failure, until it is overcome. */
  readonly error?: string;
}

export interface KubernetesReport {
  readonly enabled: boolean;
  /** Address of the API. */
  readonly server?: string;
  readonly tenant?: string;
  readonly network?: string;
  /** Everything has been listed, and what followed from it has been declared. */
  readonly synced: boolean;
  /** All that has been heard is declared, but for what is refused. */
  readonly settled: boolean;
  readonly resources: readonly ResourceStatus[];
  /** Intents that stand for the cluster's objects. */
  readonly declared: number;
  /** Requests to the model, and the intents in them, since the start. */
  readonly requests: number;
  readonly applied: number;
  readonly removed: number;
  /** Up to a thousand. */
  readonly refused: readonly RefusedObject[];
  readonly nodes: readonly NodeFact[];
  readonly services: readonly ServiceFact[];
  /** What somebody should look at. */
  readonly problems: readonly string[];
}

export const NOT_WATCHED: KubernetesReport = {
  enabled: false,
  synced: false,
  settled: false,
  resources: [],
  declared: 0,
  requests: 0,
  applied: 0,
  removed: 0,
  refused: [],
  nodes: [],
  services: [],
  problems: [],
};
