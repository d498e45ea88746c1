/** What agents say of the endpoints on their hosts, one at a time. None of these looks at more than the endpoint. */
import { numberedPorts, withoutEmpty } from '../canonical.js';
import { askedAddresses, type Refusal, takenBy } from '../apply/addresses.js';
import { completeAddresses } from '../apply/endpoints.js';
import { malformedTraits, refusedTraits, type TraitRefusal } from '../apply/traits.js';
import { pair } from '../multi-map.js';
import { NAME_PATTERN, NAME_RULE } from '../intents.js';
import { refuse } from '../problems.js';
import { sameFact } from '../record-facts.js';
import type { EndpointRecord, NetworkRecord, Traits } from '../records.js';
import type { State } from '../state.js';
import type { AttachParams, DetachParams, EndpointRequestParams } from '../types.js';
import { ModelError } from '../types.js';
import { present } from '../views.js';
import { forgetReservations } from './leases.js';
import { attachPending, boundElsewhere, place, unplace } from './location.js';

/** Finds the endpoint that an agent asks for, or makes one. Returns its id. */
export function requestEndpoint(state: State, request: EndpointRequestParams): string {
  const networkId = `${request.tenant}/${request.network}`;
  const network = state.get('network', networkId);
  if (network === undefined) {
    throw refuse('network.unknown', `there is no network ${networkId}`, {
      fix: 'declare it, or correct the name',
    });
  }
  forgetReservations(state, networkId, request);
  const id = findEndpoint(state, networkId, request);
  if (id !== undefined && !isLeftover(state, id, network, request))
    return useExisting(state, id, network, request);
  if (id !== undefined) state.set('endpoint', id, undefined);

  if (network.spec.dynamicEndpoints === false) {
    throw refuse(
      'endpoint.undeclared',
      `network ${networkId} takes only endpoints that an intent declares, not ${request.name}`,
      {
        fix: 'declare the endpoint, or say dynamicEndpoints: true for the network',
      },
    );
  }
  return create(state, networkId, network, request);
}

/**
 * Whether a runtime starts another container under the name of one that is gone: what agents asked for, and is attached nowhere or at
 * another container of the same host, has nobody who would miss it when it gets the address that is asked for now.
 */
function isLeftover(
  state: State,
  id: string,
  network: NetworkRecord,
  request: EndpointRequestParams,
): boolean {
  const record = state.get('endpoint', id);
  if (record?.dynamic !== true || request.attachUUID === undefined || record.attachUUID === undefined)
    return false;
  if (request.attachUUID === record.attachUUID) return false;
  if (record.host !== undefined && record.host !== request.host) return false;
  const asked = askedAddresses(network, split(request));
  return (['ipv4', 'ipv6', 'mac'] as const).some(
    (member) => asked[member] !== undefined && asked[member] !== record[member],
  );
}

/** By name, or by the UUID of its container. */
function findEndpoint(
  state: State,
  network: string,
  { name, attachUUID }: EndpointRequestParams,
): string | undefined {
  const id = `${network}/${name}`;
  if (state.has('endpoint', id)) return id;
  return attachUUID === undefined ? undefined : state.indexes.endpointByUUID.owner(pair(network, attachUUID));
}

function useExisting(
  state: State,
  id: string,
  network: NetworkRecord,
  request: EndpointRequestParams,
): string {
  const record = state.get('endpoint', id) as EndpointRecord;
  checkHost(state, id, record, request.host);
  const { spec } = record;
  if (
    spec.attachUUID !== undefined &&
    request.attachUUID !== undefined &&
    spec.attachUUID !== request.attachUUID
  ) {
    throw refuse(
      'endpoint.attachUUID',
      `endpoint ${id} is declared for container ${spec.attachUUID}, not ${request.attachUUID}`,
      {
        fix: 'correct attachUUID in the intent, or remove it there',
      },
    );
  }
  const asked = askedAddresses(network, split(request));
  throwRefusals(id, asked.refusals);
  for (const member of ['ipv4', 'ipv6', 'mac'] as const) {
    if (asked[member] === undefined || asked[member] === record[member]) continue;
    throw refuse(
      'endpoint.address',
      `endpoint ${id} has other addresses than the asked-for ${request.ip ?? request.mac}`,
      {
        fix: 'ask without an address, or change the intent',
      },
    );
  }
  // A network may have got a subnet since; and a restarted container has a new UUID under its old name.
  const attached = record.interface !== undefined;
  const completed = completeAddresses({ state }, record, network, id, attached);
  if (Array.isArray(completed)) throw refusal(id, completed);
  const renamed =
    request.attachUUID !== undefined && request.attachUUID !== (record.attachUUID ?? spec.attachUUID);
  const announced = announcedTraits(state, id, request, record.announced);
  const { announced: _, ...rest } = completed;
  const next = {
    ...rest,
    ...(renamed && request.attachUUID !== undefined ? { attachUUID: request.attachUUID } : {}),
    ...(announced === undefined ? {} : { announced }),
  };
  if (!sameFact(next, record)) state.set('endpoint', id, next);
  return id;
}

function create(
  state: State,
  networkId: string,
  network: NetworkRecord,
  request: EndpointRequestParams,
): string {
  const { tenant, name, attachUUID } = request;
  const id = `${networkId}/${name}`;
  if (!new RegExp(NAME_PATTERN).test(name)) {
    throw refuse('endpoint.name', `"${name}" is not a valid name of an endpoint`, {
      fix: `use ${NAME_RULE}`,
    });
  }
  const number = state.indexes.endpointNumbers.lowestFree(1, 0xffff_ffff);
  if (number === undefined) {
    throw refuse('endpoint.exhausted', 'there are 4294967295 endpoints, which is all there can be', {
      fix: 'delete some',
    });
  }
  const announced = announcedTraits(state, id, request, undefined);
  const given = split(request);
  const { ipv4, ipv6, mac, refusals } = askedAddresses(network, given);
  throwRefusals(id, [...refusals, ...takenBy(state.indexes.pool(networkId), id, { ipv4, ipv6, mac })]);
  const record = completeAddresses(
    { state },
    {
      number,
      spec: {
        kind: 'Endpoint',
        tenant,
        network: request.network,
        name,
        ...(given.ip === undefined ? {} : { ip: given.ip }),
        ...(given.ip6 === undefined ? {} : { ip6: given.ip6 }),
        ...(given.mac === undefined ? {} : { mac: given.mac }),
      },
      dynamic: true,
      mac: mac ?? 0,
      generation: 0,
      ...(ipv4 === undefined ? {} : { ipv4 }),
      ...(ipv6 === undefined ? {} : { ipv6 }),
      ...(attachUUID === undefined ? {} : { attachUUID }),
      ...(announced === undefined ? {} : { announced }),
    },
    network,
    id,
    false,
  );
  if (Array.isArray(record)) throw refusal(id, record);
  state.set('endpoint', id, record);
  attachPending(state, id);
  return id;
}

/** What an agent says of an endpoint: what it leaves out stays as it was. Unknown groups: the container shall not start. */
function announcedTraits(
  state: State,
  id: string,
  { tenant, labels, groups, ports, qos, rates }: EndpointRequestParams,
  before: Traits | undefined,
): Traits | undefined {
  const given = present<Traits>({
    labels,
    groups: groups && [...groups],
    ports: ports && numberedPorts(ports),
    qos,
    rates,
  });
  throwRefusals(id, [...malformedTraits(given), ...refusedTraits(state, tenant, given)]);
  const traits = withoutEmpty({ ...before, ...given });
  return Object.keys(traits).length === 0 ? undefined : traits;
}

/** A request may have one `ip` of either family, or one of each. */
function split({ ip, ip6, mac }: EndpointRequestParams): { ip?: string; ip6?: string; mac?: string } {
  return {
    ...(ip === undefined ? {} : ip.includes(':') ? { ip6: ip } : { ip }),
    ...(ip6 === undefined ? {} : { ip6 }),
    ...(mac === undefined ? {} : { mac }),
  };
}

function throwRefusals(id: string, refusals: readonly (Refusal | TraitRefusal)[]): void {
  if (refusals.length > 0) throw refusal(id, refusals);
}

const refusal = (id: string, refusals: readonly (Refusal | TraitRefusal)[]): ModelError =>
  new ModelError(
    refusals.map(({ member, code, message, fix }) => ({
      severity: 'error' as const,
      code,
      path: `Endpoint ${id}: ${member}`,
      message: `Endpoint ${id}: ${member}: ${message}`,
      fix,
    })),
  );

function checkHost(state: State, id: string, record: EndpointRecord, host: string): void {
  const bound = boundElsewhere(state, id, record, host);
  if (bound === undefined) return;
  throw refuse('endpoint.elsewhere', `endpoint ${id} has to live on host ${bound}, not on ${host}`, {
    path: `Endpoint ${id}: host`,
    fix: `start it on ${bound}, or bind it to ${host}`,
  });
}

/** Puts an endpoint on a port of a host. The newest attachment is the true one, whatever any clock says. */
export function attach(
  state: State,
  { endpoint: id, host, interface: port }: AttachParams,
): {
  generation: number;
  pending: boolean;
  previous?: { host: string; interface: string };
} {
  checkPort(id, host, port);
  const record = state.get('endpoint', id);
  if (record === undefined) {
    const generation = state.nextGeneration();
    state.set('pending', id, { endpoint: id, host, interface: port, generation });
    return { generation, pending: true };
  }
  checkHost(state, id, record, host);
  const generation = state.nextGeneration(record.generation + 1);
  place(state, id, host, port, generation);
  const moved = record.host !== undefined && record.interface !== undefined && record.host !== host;
  return {
    generation,
    pending: false,
    ...(moved ? { previous: { host: record.host as string, interface: record.interface as string } } : {}),
  };
}

/** What an attachment must look like, whoever announces it. */
export function checkPort(id: string, host: string, port: string): void {
  const parts = id.split('/');
  const name = new RegExp(NAME_PATTERN);
  if (parts.length !== 3 || !parts.every((part) => name.test(part))) {
    throw refuse('endpoint.id', `"${id}" is not the id of an endpoint`, {
      fix: 'use tenant/network/endpoint',
    });
  }
  if (!name.test(host))
    throw refuse('host.name', `"${host}" is not a valid name of a host`, { fix: `use ${NAME_RULE}` });
  if (port === '' || port.length > 15 || /[/\s]/.test(port)) {
    throw refuse('endpoint.interface', `"${port}" is not the name of an interface`, {
      fix: 'use 1 to 15 characters without blanks and slashes',
    });
  }
}

/** Takes an endpoint off a host, if that attachment is still the true one. */
export function detach(
  state: State,
  { endpoint: id, host, generation, release }: DetachParams,
): { detached: boolean } {
  const pending = state.get('pending', id);
  const pendingGoes =
    pending?.host === host && (generation === undefined || generation === pending.generation);
  if (pendingGoes) state.set('pending', id, undefined);
  const record = state.get('endpoint', id);
  if (record === undefined) return { detached: pendingGoes };
  const here = record.host === host && (generation === undefined || generation === record.generation);
  if (here) unplace(state, id);
  const elsewhere = record.host !== undefined && !here;
  if (release === true && record.dynamic && !elsewhere) {
    state.set('binding', id, undefined);
    state.set('endpoint', id, undefined);
  }
  return { detached: here || pendingGoes };
}
