/** Facts for tests, short. */
import type { FactInputs } from '../../controller/datapath/desired.js';
import type { EndpointFact, HostFact, NetworkFact } from '../../controller/model/facts.js';

export const datapathId = (host: number): string => host.toString(16).padStart(16, '0');
export const hostName = (host: number): string => `h${host}`;
/** 10.254.x.y */
export const vtep = (host: number): number => 0x0afe0000 + host;

/** A host with its legs in the underlays. */
export function setHost(
  facts: FactInputs,
  number: number,
  legs: Partial<HostFact> = { vtepIpv4: vtep(number), uplink: 'uplink' },
): void {
  const name = hostName(number);
  facts.hosts.set(name, { name, number, datapathId: datapathId(number), tunnelPort: 'weft-vxlan', ...legs });
}

export function setNetwork(
  facts: FactInputs,
  id: string,
  number: number,
  encapsulation: 'vlan' | 'vxlan',
  more: Partial<NetworkFact> = {},
): void {
  const [tenant = '', name = ''] = id.split('/');
  facts.networks.set(id, {
    id,
    tenant,
    name,
    number,
    encapsulation,
    tag: number,
    uplinkHandOff: encapsulation === 'vlan',
    ...more,
  });
}

export function setPort(facts: FactInputs, host: number, name: string, number: number): void {
  const fact = { datapathId: datapathId(host), name, number, up: true };
  facts.ports.set(`${fact.datapathId}/${name}`, fact);
}

/** An endpoint of a network; `host` and `port` attach it, and its port is there. */
export function setEndpoint(
  facts: FactInputs,
  network: string,
  number: number,
  { host, port, ...more }: { host?: number; port?: number } & Partial<Omit<EndpointFact, 'host'>> = {},
): string {
  const id = `${network}/e${number}`;
  if (host !== undefined && port !== undefined) setPort(facts, host, `v${port}`, port);
  facts.endpoints.set(id, {
    id,
    network,
    name: `e${number}`,
    number,
    mac: 0x02020a000000 + number,
    ipv4: [0x0a000000 + number],
    ipv6: [],
    generation: 1,
    ...(host === undefined ? {} : { host: hostName(host) }),
    ...(port === undefined ? {} : { interface: `v${port}` }),
    ...more,
  });
  return id;
}
