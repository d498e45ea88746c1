/** `weft apply`, `weft diff`, `weft delete`. */
import type { ApplyResult } from '../../controller/model/types.js';
import { showDifference, showWritten, type WriteAnswer } from '../changes.js';
import type { Client } from '../client.js';
import { CommandError, Exit } from '../exit.js';
import { readIntentFiles } from '../intent-files.js';
import { kindNamed, objectPath } from '../kinds.js';
import { note } from '../output.js';

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
  const answer = await waiting(wait && !dryRun, async () =>
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
  options: WriteOptions & { files: readonly string[]; cascade: boolean },
): Promise<Exit> {
  const { json, dryRun, wait, timeout, files, cascade } = options;
  const body = await whatToDelete(kindWord, names, files);
  const answer = await waiting(wait && !dryRun, async () =>
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
  files: readonly string[],
): Promise<unknown> {
  if (files.length > 0) {
    if (kindWord === undefined) return { files: await readIntentFiles(files) };
    throw new CommandError(Exit.usage, 'give either -f FILE or a kind with names, not both');
  }
  if (kindWord === undefined || names.length === 0) {
    throw new CommandError(
      Exit.usage,
      'name what to delete\n  fix: weft delete -f FILE, or weft delete KIND NAME...',
    );
  }
  const kind = kindNamed(kindWord);
  for (const name of names) objectPath(kind, name); // refuses what cannot be a name
  return { refs: names.map((name) => ({ kind: kind.kind, name })) };
}

function waitQuery({ dryRun, wait, timeout }: { dryRun: boolean; wait: boolean; timeout: number }) {
  return { dryRun, wait: wait ? 'acknowledged' : 'stored', timeoutMs: Math.round(timeout * 1000) };
}

/** Says that it waits, when that takes long enough to wonder. */
async function waiting<T>(waits: boolean, work: () => Promise<T>): Promise<T> {
  if (!waits || !process.stderr.isTTY) return await work();
  const timer = setTimeout(
    () => note('waiting for the switches to acknowledge (--no-wait does not) ...'),
    500,
  );
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
