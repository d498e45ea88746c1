/** The tenant and the network that pods are in: people's, if they have declared them, else the watcher's own. */
import type { IntentObject } from '../model/intents.js';
import { covers, parsePrefix } from '../model/prefixes.js';
import type { Model } from '../model/types.js';
import { OWNER } from './names.js';
import type { Place } from './pods.js';

export interface PlaceOptions extends Place {
  /** Of the network, if the watcher makes it. */
  readonly subnet: string;
  readonly gateway?: string;
  readonly ipv6Subnet?: string;
  readonly ipv6Gateway?: string;
}

/** What the watcher has to declare itself. */
export function placeIntents(model: Model, options: PlaceOptions): IntentObject[] {
  const { tenant, network, subnet, gateway, ipv6Subnet, ipv6Gateway } = options;
  const isOurs = (declared: { readonly owner?: string } | undefined) =>
    declared === undefined || declared.owner === OWNER;
  const intents: IntentObject[] = [];
  if (isOurs(model.declared('Tenant', tenant))) intents.push({ kind: 'Tenant', name: tenant, owner: OWNER });
  if (isOurs(model.declared('Network', `${tenant}/${network}`))) {
    intents.push({
      kind: 'Network',
      tenant,
      name: network,
      subnet,
      ...(gateway === undefined ? {} : { gateway }),
      ...(ipv6Subnet === undefined ? {} : { ipv6Subnet }),
      ...(ipv6Gateway === undefined ? {} : { ipv6Gateway }),
      dynamicEndpoints: false,
      owner: OWNER,
    });
  }
  return intents;
}

/** What is wrong with a network that people have declared. */
export function placeProblems(model: Model, { tenant, network }: Place): string[] {
  const declared = model.declared('Network', `${tenant}/${network}`);
  if (declared === undefined || declared.dynamicEndpoints === false) return [];
  return [
    `network ${tenant}/${network} takes endpoints that nobody has declared: a pod could run before its policy; say dynamicEndpoints: false`,
  ];
}

/** Those of a pod's addresses that its network can have, as members of its endpoint. */
export function addressesIn(
  model: Model,
  { tenant, network, ...wanted }: PlaceOptions,
  addresses: readonly string[],
): { readonly ip?: string; readonly ip6?: string } {
  if (addresses.length === 0) return {};
  // Before the watcher's own network is there, it is what it will be.
  const { subnet, ipv6Subnet } = model.get('Network', `${tenant}/${network}`)?.status ?? wanted;
  const inside = (subnet: string | undefined): string | undefined => {
    const prefix = subnet === undefined ? undefined : parsePrefix(subnet);
    if (prefix === undefined || !('family' in prefix)) return undefined;
    return addresses.find((text) => {
      const address = parsePrefix(text);
      return 'family' in address && covers(prefix, address);
    });
  };
  const [ip, ip6] = [inside(subnet), inside(ipv6Subnet)];
  return { ...(ip === undefined ? {} : { ip }), ...(ip6 === undefined ? {} : { ip6 }) };
}
