import type { Clock, EndpointView } from '../../rpc/index.js';
import type { EndpointRequestParams } from '../model/types.js';
import type { Arrivals } from './arrivals.js';
import { deadline } from './attaching.js';
import type { HubModel } from './types.js';

/** What a request may wait for, and with what. */
export interface Waiting {
  readonly arrivals: Arrivals;
  readonly clock: Clock;
  readonly ms: number;
  readonly signal: AbortSignal;
}

/**
 * Finds or creates an endpoint. One that its network takes only by declaration may be on its way: whoever starts containers can be faster
 * than whoever declares them.
 * @throws the model's errors; `endpoint.undeclared` when the time is up
 */
export async function requestEndpoint(
  model: HubModel,
  request: EndpointRequestParams,
  { arrivals, clock, ms, signal: parent }: Waiting,
): Promise<EndpointView> {
  try {
    return await model.requestEndpoint(request);
  } catch (error) {
    if (ms === 0 || (error as { code?: unknown }).code !== 'endpoint.undeclared') throw error;
    const limit = deadline(clock, ms, parent);
    try {
      await arrivals.declared(`${request.tenant}/${request.network}/${request.name}`, limit.signal);
    } catch {
      throw error;
    } finally {
      limit.release();
    }
    return model.requestEndpoint(request);
  }
}
