/** Where endpoints are: the one place that attaches and detaches records. */
import { pair } from '../multi-map.js';
import { boundHost } from '../record-facts.js';
import type { EndpointRecord } from '../records.js';
import type { State } from '../state.js';

/** Puts a known endpoint on a port. Whoever was on that port is not there any more: its agent knows best. */
export function place(state: State, id: string, host: string, port: string, generation: number): void {
  const previous = state.indexes.endpointAtPort.owner(pair(host, port));
  if (previous !== undefined && previous !== id) unplace(state, previous);
  const record = state.get('endpoint', id);
  if (record !== undefined) state.set('endpoint', id, { ...record, host, interface: port, generation });
}

/** Takes an endpoint off its port; it keeps its addresses and its generation. */
export function unplace(state: State, id: string): void {
  const record = state.get('endpoint', id);
  if (record === undefined) return;
  const { host: _, interface: __, ...rest } = record;
  state.set('endpoint', id, rest);
}

/** The host that the endpoint has to live on, when that is not `host`. */
export function boundElsewhere(
  state: State,
  id: string,
  record: EndpointRecord,
  host: string,
): string | undefined {
  const bound = boundHost(record, state.get('binding', id));
  return bound === undefined || bound === host ? undefined : bound;
}

/**
 * Completes an attachment that came before its endpoint. Returns the host that it came from when the endpoint has
 * to live on another one.
 */
export function attachPending(state: State, id: string): string | undefined {
  const pending = state.get('pending', id);
  const record = state.get('endpoint', id);
  if (pending === undefined || record === undefined) return undefined;
  state.set('pending', id, undefined);
  if (boundElsewhere(state, id, record, pending.host) !== undefined) return pending.host;
  place(state, id, pending.host, pending.interface, pending.generation);
  return undefined;
}
