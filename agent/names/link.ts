/**
 * The bridge's own port (LOCAL) as the link between the agent and the endpoints of this host. Nothing else uses it: it gets an address of
 * its own, and a route to the addresses that endpoints are seen under. `apps/names.ts` has the other side.
 */
import { command } from '../linux/command.js';

/** Of the name server in every network; the last two octets say the port twice. */
export const NAME_SERVER = '169.254.53.53';
/** MAC address of the bridge's own port, where the switch sends questions: locally administered, made of the address. */
export const NAME_SERVER_MAC = '02:57:a9:fe:35:35';
/** An endpoint is seen under 198.19.0.0 plus the OpenFlow number of its port. */
const ASKERS = '198.19.0.0/16';
const ASKER = /^198\.19\.(\d{1,3})\.(\d{1,3})$/;

/** OpenFlow number of the port that a question came from; undefined: not from an endpoint. */
export function portOfAsker(address: string): number | undefined {
  const found = ASKER.exec(address);
  return found === null ? undefined : Number(found[1]) * 256 + Number(found[2]);
}

/**
 * Give the bridge's own port its address and route; repeating it is no error. Neighbours are not looked for there (`arp off`): the switch
 * rewrites whatever comes from it.
 */
export async function prepareLink(bridge: string): Promise<void> {
  const lines = [
    `link set dev ${bridge} addrgenmode none`,
    `link set dev ${bridge} arp off up`,
    `addr replace ${NAME_SERVER}/32 dev ${bridge} scope link`,
    `route replace ${ASKERS} dev ${bridge} src ${NAME_SERVER}`,
  ];
  await command(['ip', '-batch', '-'], `${lines.join('\n')}\n`);
}
