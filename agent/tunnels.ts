/**
 * The tunnels that this host watches for the controller: those to its neighbours on distribution trees. The switch does it (BFD, RFC
 * 5880), so that a neighbour that dies is noticed in less than a second, and by those who need it, whatever has become of its agent. Whom to
 * watch is remembered, so that it goes on while the controller is away.
 */
import { isDeepStrictEqual } from 'node:util';
import type { TunnelPeer, TunnelState } from '../rpc/index.js';
import type { SwitchDriver } from './drivers/driver.js';
import type { StateFile } from './state-file.js';

export interface WatchedTunnelsOptions {
  readonly driver: Pick<SwitchDriver, 'tunnels' | 'onTunnels'>;
  readonly state: StateFile;
  /** The tunnels to watch are others now. */
  onChange(): void;
  /** Tells the controller, if it is there. */
  tell(tunnels: readonly TunnelState[]): void;
}

export class WatchedTunnels {
  constructor(private readonly options: WatchedTunnelsOptions) {}

  get peers(): readonly TunnelPeer[] {
    return this.options.state.current.peers;
  }

  /** The whole truth, from the controller. */
  async set(peers: readonly TunnelPeer[]): Promise<void> {
    const { state, onChange } = this.options;
    if (isDeepStrictEqual(state.current.peers, peers)) return;
    await state.update({ peers });
    onChange();
  }

  /** Tells of every change. Returns the function that ends it. */
  start(): () => void {
    return this.options.driver.onTunnels(() => this.tell());
  }

  tell(): void {
    const watched = new Set(this.peers.map(({ host }) => host));
    this.options.tell(this.options.driver.tunnels().filter(({ host }) => watched.has(host)));
  }
}
