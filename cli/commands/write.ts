/** `weft apply`, `weft diff`, `weft delete`. */
import type { ControllerStatus } from '../../controller/api/backend.js';
import type { ApplyResult } from '../../controller/model/types.js';
import { showDifference, showWritten, type WriteAnswer } from '../changes.js';
import type { Client } from '../client.js';
import { CommandError, Exit } from '../exit.js';
import { readIntentFiles } from '../intent-files.js';
import { kindNamed, objectPath } from '../kinds.js';
import { formatDuration } from '../output.js';

export interface WriteOptions {
  readonly json: boolean;
  readonly dryRun: boolean;
  /** Wait for the switches. */
  readonly wait: boolean;
  /** Seconds. */
  readonly timeout: number;
}

export async function apply(
  client: Client,
  {
    json,
    dryRun,
    wait,
    timeout,
    files,
    replace,
  }: WriteOptions & { files: readonly string[]; replace: boolean },
): Promise<Exit> {
  const intents = await readIntentFiles(files);
  const answer = await waiting(client, wait && !dryRun, async () =>
    client.post<WriteAnswer>('/v1/apply', {
      query: { ...waitQuery({ dryRun, wait, timeout }), mode: replace ? 'replace' : 'add' },
      body: { files: intents },
      timeoutMs: timeout * 1000 + 30_000,
    }),
  );
  return showWritten(answer, { json });
}

export async function diff(
  client: Client,
  { json, files, replace }: { json: boolean; files: readonly string[]; replace: boolean },
): Promise<Exit> {
  const answer = await client.post<ApplyResult>('/v1/diff', {
    query: { mode: replace ? 'replace' : 'add' },
    body: { files: await readIntentFiles(files) },
  });
  return showDifference(answer, { json });
}

export async function remove(
  client: Client,
  kindWord: string | undefined,
  names: readonly string[],
  options: WriteOptions & { files: readonly string[]; cascade: boolean; all: boolean },
): Promise<Exit> {
  const { json, dryRun, wait, timeout, cascade } = options;
  const body = await whatToDelete(kindWord, names, options);
  const answer = await waiting(client, wait && !dryRun, async () =>
    client.post<WriteAnswer>('/v1/delete', {
      query: { ...waitQuery({ dryRun, wait, timeout }), cascade },
      body,
      timeoutMs: timeout * 1000 + 30_000,
    }),
  );
  return showWritten(answer, { json });
}

async function whatToDelete(
  kindWord: string | undefined,
  names: readonly string[],
  { files, all }: { files: readonly string[]; all: boolean },
): Promise<unknown> {
  const ways = [kindWord !== undefined, files.length > 0, all].filter(Boolean).length;
  if (ways > 1) {
    throw new CommandError(Exit.usage, 'give one of: a kind with names, -f FILE, --all', {
      code: 'usage.delete',
    });
  }
  if (all) return { all: true };
  if (files.length > 0) return { files: await readIntentFiles(files) };
  if (kindWord === undefined || names.length === 0) {
    throw new CommandError(
      Exit.usage,
      'name what to delete\n  fix: weft delete KIND NAME..., weft delete -f FILE, or weft delete --all',
      { code: 'usage.delete' },
    );
  }
  const kind = kindNamed(kindWord);
  for (const name of names) objectPath(kind, name); // refuses what cannot be a name
  return { refs: names.map((name) => ({ kind: kind.kind, name })) };
}

function waitQuery({ dryRun, wait, timeout }: { dryRun: boolean; wait: boolean; timeout: number }) {
  return { dryRun, wait: wait ? 'acknowledged' : 'stored', timeoutMs: Math.round(timeout * 1000) };
}

const PROGRESS_MS = 500;

/** On a terminal, shows how far the switches are while the answer is awaited. */
async function waiting<T>(client: Client, waits: boolean, work: () => Promise<T>): Promise<T> {
  if (!waits || !process.stderr.isTTY) return await work();
  const since = Date.now();
  let done = false;
  let shown = false;
  let timer: NodeJS.Timeout | undefined;
  const show = async (): Promise<void> => {
    const switches = await client.get<ControllerStatus>('/v1/status').then(
      ({ datapaths }) => datapaths.filter(({ state }) => state !== 'disconnected' && state !== 'unclaimed'),
      () => [], // the answer that is awaited will say what is wrong
    );
    if (done) return;
    const ready = switches.filter(({ state }) => state === 'in-sync').length;
    const progress = switches.length === 0 ? '' : `, ${ready} of ${switches.length} in sync`;
    process.stderr.write(
      `\r\u001B[Kwaiting for the switches (${formatDuration(Date.now() - since)}${progress}) ...`,
    );
    shown = true;
    timer = setTimeout(() => void show(), PROGRESS_MS);
  };
  timer = setTimeout(() => void show(), PROGRESS_MS);
  try {
    return await work();
  } finally {
    done = true;
    clearTimeout(timer);
    if (shown) process.stderr.write('\r\u001B[K');
  }
}
