/** `weft watch`: changes as they happen, through breaks of the connection. */
import type { Client } from '../client.js';
import { CommandError, Exit } from '../exit.js';
import { formatTime, note, writeLine } from '../output.js';
import { type ServerSentEvent, serverSentEvents } from '../server-sent-events.js';

export interface WatchCommandOptions {
  readonly json: boolean;
  readonly types?: string | undefined;
  /** End after so many events; for scripts. */
  readonly count?: number | undefined;
}

const RETRY_MS = 1000;

export async function watch(
  client: Client,
  { json, types, count = Infinity }: WatchCommandOptions,
): Promise<Exit> {
  const path = types === undefined ? '/v1/watch' : `/v1/watch?types=${encodeURIComponent(types)}`;
  return await follow(client, path, count, (event) => {
    show(event, json);
    return true;
  });
}

/**
 * Reads an event stream, again and again when it breaks, until `count` events have been shown. `onEvent` says whether it showed one;
 * `ready` and `reset` are dealt with here.
 */
export async function follow(
  client: Client,
  path: string,
  count: number,
  onEvent: (event: ServerSentEvent) => boolean,
): Promise<Exit> {
  let lastEventId: string | undefined;
  let shown = 0;
  let connectedOnce = false;
  for (;;) {
    try {
      const response = await client.stream(
        path,
        lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
      );
      connectedOnce = true;
      for await (const event of serverSentEvents(response)) {
        lastEventId = event.id ?? lastEventId;
        if (event.event === 'reset')
          note('weft: some events were missed; "weft get" shows how things are now');
        if (event.event === 'ready' || event.event === 'reset' || !onEvent(event)) continue;
        if (++shown >= count) {
          response.destroy();
          return Exit.ok;
        }
      }
    } catch (error) {
      const lasting = error instanceof CommandError && error.exit !== Exit.unreachable;
      if (!connectedOnce || lasting) throw error;
    }
    note('weft: the connection ended, trying again');
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function show({ event, data }: ServerSentEvent, json: boolean): void {
  const detail = JSON.parse(data) as Record<string, unknown>;
  if (json) {
    writeLine(JSON.stringify({ type: event, ...detail }));
    return;
  }
  const time = formatTime(Date.now());
  if (event === 'object') {
    const { action, kind, name, object } = detail as {
      action: string;
      kind: string;
      name: string;
      object?: { status: Readonly<Record<string, unknown>> };
    };
    writeLine(
      `${time}  ${action.padEnd(8)} ${kind} ${name}${object === undefined ? '' : `  ${values(object.status)}`}`,
    );
    return;
  }
  const { event: what, host, datapathId, ...others } = detail as Record<string, unknown>;
  writeLine(`${time}  ${String(what)} ${String(host ?? datapathId ?? '')}  ${values(others)}`.trimEnd());
}

function values(record: Readonly<Record<string, unknown>>): string {
  return Object.entries(record)
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join(' ');
}
