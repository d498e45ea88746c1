/** What holds for broadcast and multicast in a network that does not say otherwise. */
import type { MulticastSettings, NetworkFact } from '../../controller/model/facts.js';

/** All settings of a network but those that have no default. */
export type EffectiveMulticastSettings = Required<Omit<MulticastSettings, 'broadcastLimit'>> &
  Pick<MulticastSettings, 'broadcastLimit'>;

/**
 * `degree` 4: a packet leaves a host four times at most, and a tree of 1,000 hosts is about seven deep (three children each). `headEndLimit`
 * 8: up to there a sender's own copies cost little more than those of a tree, arrive after one hop, and depend on no other host.
 */
export const DEFAULT_MULTICAST_SETTINGS: EffectiveMulticastSettings = {
  snooping: true,
  querier: true,
  unregistered: 'flood',
  degree: 4,
  headEndLimit: 8,
};

export function multicastSettingsOf({
  multicast,
}: Pick<NetworkFact, 'multicast'>): EffectiveMulticastSettings {
  return { ...DEFAULT_MULTICAST_SETTINGS, ...multicast };
}
