/** `name.lookup`: an agent asks for an endpoint of its host. */
import {
  type Call,
  MAX_NAMED_ADDRESSES,
  NameLookup,
  type ParamsOf,
  type ResultOf,
  type Router,
} from '../../rpc/index.js';
import { HubError } from './errors.js';
import type { HubModel } from './types.js';

type NamingModel = Pick<HubModel, 'endpoint' | 'lookUpName' | 'lookUpAddress'>;

/** The method of `rpc/methods-names.ts`. `hostOf` is the host that a call speaks for; it throws when that is none. */
export function nameMethods(router: Router, model: NamingModel, hostOf: (call: Call) => string): Router {
  return router.request(NameLookup, (params, call) => lookUp(model, hostOf(call), params));
}

/**
 * @throws HubError `name.asker` for an endpoint that does not live on the host: a tenant's names are nobody else's business;
 * `name.question` unless it is either a name or an address
 */
function lookUp(
  model: NamingModel,
  host: string,
  { endpoint, name, address }: ParamsOf<typeof NameLookup>,
): ResultOf<typeof NameLookup> {
  if (model.endpoint(endpoint)?.host !== host) {
    throw new HubError('name.asker', `${endpoint} does not live on host ${host}`, {
      path: 'endpoint',
      fix: 'ask for an endpoint that is attached here',
    });
  }
  if ((name === undefined) === (address === undefined)) {
    throw new HubError('name.question', 'exactly one of name and address is asked for', { path: 'name' });
  }
  const found =
    name === undefined
      ? model.lookUpAddress(endpoint, address ?? '')
      : model.lookUpName(endpoint, name, MAX_NAMED_ADDRESSES);
  return { exists: found.exists, addresses: [...found.addresses], names: [...found.names] };
}
