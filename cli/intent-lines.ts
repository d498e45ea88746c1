/** Where in intent files the rules and defaults are written that decided a trace. */
import type { IntentObject } from '../controller/model/intents.js';
import { locate } from '../controller/model/locations.js';
import { parseIntents } from '../controller/model/parse.js';
import type { TraceDecision, TraceLeg, TraceReport } from '../controller/trace/report.js';
import type { IntentFile } from './intent-files.js';

type Place = Pick<TraceDecision, 'file' | 'line'>;

/** The report with file and line of every decision that is written in one of the files. */
export function withLines(report: TraceReport, files: readonly IntentFile[]): TraceReport {
  const objects = files.flatMap(({ name: file, text }) => parseIntents(text, { file }).objects);
  const located = (leg: TraceLeg): TraceLeg => ({
    ...leg,
    decisions: leg.decisions.map((decision) => ({ ...decision, ...placeOf(decision, objects) })),
  });
  const { request, reply } = report;
  const legs = {
    request: located(request),
    ...(reply === undefined ? {} : { reply: located(reply) }),
  };
  let { verdict } = report;
  for (const { decisions } of Object.values(legs)) {
    for (const { intent, file, line } of decisions) {
      if (file !== undefined) verdict = verdict.replaceAll(`(${intent})`, `(${file}:${line})`);
    }
  }
  return { ...report, ...legs, verdict };
}

function placeOf(
  { rule, policy, direction, because }: TraceDecision,
  objects: readonly IntentObject[],
): Place {
  const ruleName = rule?.slice(rule.lastIndexOf('/') + 1);
  for (const object of objects) {
    const member = memberOf(object, policy, ruleName, direction, because);
    const found = member === undefined ? undefined : locate(object, member);
    if (found !== undefined)
      return { line: found.line, ...(found.file === undefined ? {} : { file: found.file }) };
  }
  return {};
}

/** Path of what decided in an object; undefined where it is not in it. */
function memberOf(
  object: IntentObject,
  policy: string | undefined,
  rule: string | undefined,
  direction: TraceDecision['direction'],
  because: string,
): string | undefined {
  switch (object.kind) {
    case 'Policy': {
      if (`${object.tenant}/${object.name}` !== policy) return undefined;
      if (rule === undefined) return direction === 'in' ? 'defaultIn' : 'defaultOut';
      const index = object.rules?.findIndex(({ name }) => name === rule) ?? -1;
      return index < 0 ? undefined : `rules[${index}]`;
    }
    case 'Rule':
      return `${object.tenant}/${object.policy}` === policy && object.name === rule ? 'name' : undefined;
    case 'Tenant':
      return policy === undefined && because.endsWith(` of tenant ${object.name}`)
        ? 'defaultAction'
        : undefined;
    default:
      return undefined;
  }
}
