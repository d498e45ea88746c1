/**
 * Merges an agent's whole truth by difference. Who is right is decided by generations, which the model gives out one
 * after the other for the whole cluster, never by clocks:
 *
 * - an endpoint that another host has attached since is stale here;
 * - one that is unknown although its generation was given out has been deleted meanwhile: stale;
 * - one that is unknown with a generation never given out (or none) has not arrived yet: it is kept pending;
 * - what the controller has on this host and the agent has not is detached.
 */
import type { State } from '../state.js';
import { META_ID } from '../state.js';
import type { Attachment, Snapshot, SnapshotResult } from '../types.js';
import { checkPort } from './endpoints.js';
import { boundElsewhere, place, unplace } from './location.js';

export function mergeSnapshot(state: State, { host, attachments }: Snapshot): SnapshotResult {
  const accepted: Attachment[] = [];
  const stale: string[] = [];
  const removed: string[] = [];
  const named = new Set<string>();
  // Judged by what had been given out before this snapshot, whatever it brings.
  const issued = state.get('meta', META_ID)?.generation ?? 0;

  for (const attachment of newestFirst(attachments)) {
    checkPort(attachment.endpoint, host, attachment.interface);
    if (named.has(attachment.endpoint)) continue;
    named.add(attachment.endpoint);
    const generation = merge(state, host, attachment, issued);
    if (generation === undefined) stale.push(attachment.endpoint);
    else accepted.push({ endpoint: attachment.endpoint, interface: attachment.interface, generation });
  }
  for (const id of Array.from(state.indexes.attachedOnHost.get(host))) {
    if (named.has(id)) continue;
    unplace(state, id);
    removed.push(id);
  }
  for (const id of Array.from(state.indexes.pendingOfHost.get(host))) {
    if (!named.has(id)) state.set('pending', id, undefined);
  }
  return { accepted, stale, removed };
}

/** An agent that names an endpoint or a port twice means the newest one. */
const newestFirst = (attachments: readonly Attachment[]): Attachment[] =>
  [...attachments].sort((a, b) => b.generation - a.generation);

/** The generation that the attachment has from now on; undefined when it is stale. */
function merge(state: State, host: string, attachment: Attachment, issued: number): number | undefined {
  const { endpoint: id, interface: port, generation } = attachment;
  const record = state.get('endpoint', id);
  if (record === undefined) return mergeUnknown(state, host, attachment, issued);
  if (boundElsewhere(state, id, record, host) !== undefined && record.host !== host) return undefined;

  if (record.host === host) {
    if (record.interface === port && generation <= record.generation) return record.generation;
    const next = state.nextGeneration(Math.max(generation, record.generation + 1));
    place(state, id, host, port, next);
    return next;
  }
  // Somebody else has it: he is right unless this attachment is newer.
  if (record.host !== undefined && generation <= record.generation) return undefined;
  const next = state.nextGeneration(Math.max(generation, record.generation + 1));
  place(state, id, host, port, next);
  return next;
}

function mergeUnknown(
  state: State,
  host: string,
  attachment: Attachment,
  issued: number,
): number | undefined {
  const { endpoint: id, interface: port, generation } = attachment;
  const pending = state.get('pending', id);
  if (pending !== undefined && pending.generation >= generation) {
    if (pending.host !== host) return undefined;
    if (pending.interface !== port) state.set('pending', id, { ...pending, interface: port });
    return pending.generation;
  }
  if (generation > 0 && generation <= issued) return undefined;
  const next = state.nextGeneration(generation);
  state.set('pending', id, { endpoint: id, host, interface: port, generation: next });
  return next;
}
