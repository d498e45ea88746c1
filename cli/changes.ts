/** Shows what `apply`, `diff` and `delete` did or would do. */
import type { SwitchAcknowledgement } from '../controller/api/backend.js';
import type { ApplyResult, Change, FieldChange } from '../controller/model/types.js';
import { describeProblem } from './client.js';
import { Exit } from './exit.js';
import { note, plural, table, writeJson, writeLine } from './output.js';

export type WriteAnswer = ApplyResult & { readonly acknowledgements?: readonly SwitchAcknowledgement[] };

const DONE = { create: 'created', update: 'updated', delete: 'deleted', unchanged: 'unchanged' } as const;
const SIGN = { create: '+', update: '~', delete: '-', unchanged: ' ' } as const;

/** Writes the answer, and returns the exit code. */
export function showWritten(answer: WriteAnswer, { json }: { json: boolean }): Exit {
  if (json) {
    writeJson(answer);
  } else {
    showWarnings(answer);
    if (answer.changes.length > 0) {
      const rows = answer.changes.map((change) => [
        change.kind.toLowerCase(),
        change.name,
        DONE[change.action],
        (change.fields ?? []).map(fieldText).join(', '),
      ]);
      writeLine(table(['kind', 'name', 'action', 'values'], rows));
    }
    writeLine(`${summary(answer.changes)}${answer.dryRun ? ' (dry run: nothing was changed)' : ''}`);
    showAcknowledgements(answer.acknowledgements);
  }
  const missing = answer.acknowledgements?.some(({ ok }) => !ok) ?? false;
  return missing ? Exit.unacknowledged : Exit.ok;
}

/** Like a diff: `+` created, `~` updated with its values, `-` deleted. */
export function showDifference(answer: ApplyResult, { json }: { json: boolean }): Exit {
  const changed = answer.changes.filter(({ action }) => action !== 'unchanged');
  if (json) {
    writeJson(answer);
  } else {
    showWarnings(answer);
    for (const { action, kind, name, fields = [] } of changed) {
      writeLine(`${SIGN[action]} ${kind} ${name}`);
      for (const field of fields) writeLine(`    ${fieldText(field)}`);
    }
    writeLine(summary(answer.changes, 'to '));
  }
  return changed.length === 0 ? Exit.ok : Exit.different;
}

function showWarnings({ warnings }: ApplyResult): void {
  for (const warning of warnings) note(describeProblem(warning));
}

function showAcknowledgements(switches: readonly SwitchAcknowledgement[] | undefined): void {
  if (switches === undefined) return;
  const ok = switches.filter((one) => one.ok);
  if (switches.length === 0) {
    writeLine('no switch is concerned');
    return;
  }
  writeLine(`acknowledged by ${ok.length} of ${plural(switches.length, 'switch')}`);
  for (const { datapathId, host, ok: acknowledged, reason = 'unknown', refused } of switches) {
    if (acknowledged) continue;
    writeLine(`  ${host ?? datapathId}: ${reason}`);
    for (const { entry, owner, error } of refused) writeLine(`    ${error}: ${entry} (from ${owner})`);
  }
}

function summary(changes: readonly Change[], prefix = ''): string {
  const count = (action: Change['action']): number =>
    changes.filter((change) => change.action === action).length;
  const verb =
    prefix === '' ? DONE : { create: 'create', update: 'update', delete: 'delete', unchanged: 'unchanged' };
  return [
    `${count('create')} ${prefix}${verb.create}`,
    `${count('update')} ${prefix}${verb.update}`,
    `${count('delete')} ${prefix}${verb.delete}`,
    `${count('unchanged')} unchanged`,
  ].join(', ');
}

function fieldText({ path, from, to }: FieldChange): string {
  if (from === undefined) return `${path} ${text(to)}`;
  return to === undefined ? `${path} ${text(from)} removed` : `${path} ${text(from)} -> ${text(to)}`;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
