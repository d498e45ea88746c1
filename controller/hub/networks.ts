import {
  AddressRelease,
  AddressReserve,
  type Call,
  HostEndpoints,
  NetworkLeases,
  NetworkList,
  NetworkRelease,
  NetworkRequest,
  type Router,
} from '../../rpc/index.js';
import type { HubModel } from './types.js';

/** The methods of `rpc/methods-networks.ts`, and what is bound to a host. `hostOf` is the host that a call speaks for; it throws when that is none. */
export function networkMethods(router: Router, model: HubModel, hostOf: (call: Call) => string): Router {
  return router
    .request(HostEndpoints, (_, call) => ({ endpoints: [...model.endpointsOfHost(hostOf(call))] }))
    .request(NetworkRequest, (params, call) => model.requestNetwork({ ...params, host: hostOf(call) }))
    .request(NetworkRelease, (params, call) => model.releaseNetwork({ ...params, host: hostOf(call) }))
    .request(NetworkList, ({ tenant }, call) => {
      hostOf(call);
      return { networks: [...model.networks(tenant)] };
    })
    .request(AddressReserve, async (params, call) => ({
      ip: await model.reserveAddress({ ...params, host: hostOf(call) }),
    }))
    .request(AddressRelease, (params, call) => model.releaseAddress({ ...params, host: hostOf(call) }))
    .request(NetworkLeases, (_, call) => {
      const { uses, addresses } = model.leasesOfHost(hostOf(call));
      return { uses: [...uses], addresses: [...addresses] };
    });
}
