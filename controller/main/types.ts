/**
 * What the process (cli), the HTTP API and tests see of the running controller. `openController` in controller.ts makes it.
 */
import type { Observable } from 'rxjs';
import type { Address } from '../../rpc/index.js';
import type { ApiBackend, ControllerEvent, SwitchAcknowledgement } from '../api/backend.js';
import type { Config } from '../config/schema.js';
import type { ClusterAccess } from '../kubernetes/index.js';
import type { Log } from '../log.js';
import type { FactChange } from '../model/facts.js';
import type { Store } from '../store/store.js';

export interface ControllerOptions {
  /** Open; stays its owner's, who closes it after `stop`. */
  readonly store: Store;
  /** `openflow`, `fabric`, `hub`, `metrics`, `kubernetes` and `store.driver` are read; listeners take port 0 for a free one. */
  readonly config: Pick<Config, 'openflow' | 'fabric' | 'hub' | 'metrics' | 'kubernetes' | 'store'>;
  /** Of the Kubernetes cluster that is watched, if any. */
  readonly cluster?: ClusterAccess | undefined;
  /** A further hub listener beside `config.hub.listen`, e.g. a unix socket. */
  readonly hubAddresses?: readonly Address[];
  readonly log: Log;
  /** Shown in the status. */
  readonly version: string;
}

export interface ControllerListeners {
  /** `ADDRESS:PORT` in use. */
  readonly openflow: string;
  readonly hub: string;
}

/**
 * The controller. Life: `openController` loads the model and derives every table from it, without a socket; `start` lets
 * switches and agents in; `stop` drains.
 */
export interface Controller extends ApiBackend {
  /** Listens for switches and agents. Rejects when an address cannot be had; nothing listens then. */
  start(): Promise<ControllerListeners>;
  /**
   * Takes nothing new, lets running agent calls and transactions finish for at most `deadlineMs` (default 5,000), and closes
   * the connections. Switches keep their entries.
   */
  stop(deadlineMs?: number): Promise<void>;
  /**
   * What was committed to the model before this call is derived and sent; resolves when each switch concerned has
   * acknowledged, refused, or is not connected, or the signal aborts (`timeout`).
   */
  acknowledged(signal: AbortSignal): Promise<readonly SwitchAcknowledgement[]>;
  /** Changes of switches and agents. Hot; completes at `stop`. */
  readonly events: Observable<ControllerEvent>;
  /** Changes of facts, one array per committed transaction. Hot; completes at `stop`. */
  readonly facts: Observable<readonly FactChange[]>;
}

export type OpenController = (options: ControllerOptions) => Promise<Controller>;
