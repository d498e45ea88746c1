/** What a network says of group membership. */
import type { NetworkFact } from '../model/facts.js';

export interface MembershipSettings {
  /** Reports are listened to. */
  readonly snooping: boolean;
  /** Where no querier is heard, the switches of the network ask. */
  readonly querier: boolean;
}

export function membershipSettings(
  network: NetworkFact & { readonly multicast?: Partial<MembershipSettings> },
): MembershipSettings {
  const { snooping = true, querier = true } = network.multicast ?? {};
  return { snooping, querier: snooping && querier };
}
