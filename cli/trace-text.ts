/** What traces of the overlay and of the fabric tell alike. */
import type { TraceDeparture, TraceDifference, TraceStep } from '../controller/trace/report.js';
import { plural, writeLine } from './output.js';

/** What a switch did with a packet. @param all tables too that have nothing to say of it */
export function writeSteps(
  steps: readonly TraceStep[],
  departures: readonly TraceDeparture[],
  all: boolean,
): void {
  const told = all ? steps : steps.filter((step) => !isSilent(step));
  for (const { depth, table, cause, entry, owner, conjunction, remarks } of told) {
    const indent = '  '.repeat(depth + 1);
    writeLine(`${indent}${table}${cause === undefined ? '' : ` (${cause})`}: ${entry ?? 'no entry matches'}`);
    if (owner !== undefined) writeLine(`${indent}  from ${owner}`);
    if (conjunction !== undefined) {
      writeLine(
        `${indent}  by ${plural(conjunction.length, 'entry').replace('entrys', 'entries')} of a conjunctive match:`,
      );
      for (const part of conjunction) writeLine(`${indent}    ${part}`);
    }
    for (const remark of remarks) writeLine(`${indent}  ${remark}`);
  }
  for (const { to } of departures) writeLine(`  out to ${to}`);
}

/** A table's own miss that only leads on. */
function isSilent({ owner, entry, remarks }: TraceStep): boolean {
  return (
    owner?.startsWith('pipeline.miss ') === true &&
    entry?.includes('goto_table') === true &&
    remarks.length === 0
  );
}

export function writeDifferences(differences: readonly TraceDifference[]): void {
  for (const { host, examples, ...counts } of differences) {
    const found = Object.entries(counts).filter(([, count]) => count > 0);
    writeLine(
      `\n${host} does not hold what it should: ${found.map(([kind, count]) => `${count} ${kind}`).join(', ')}`,
    );
    for (const example of examples) writeLine(`  ${example}`);
  }
}
