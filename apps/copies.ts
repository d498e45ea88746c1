/**
 * The copy of a packet for one receiver of many: straight to its port, or by the tables that judge it for that receiver and limit its
 * rate.
 */
import type { EntryContext } from '../controller/datapath/app.js';
import type { Collection } from '../controller/derive/index.js';
import type { Action } from '../ofproto/index.js';
import { output, resubmit } from './actions.js';
import { R, T } from './pipeline.js';
import type { LocalEndpoint } from './placement.js';
import { subjectNumber, type Subjects } from './policy/subjects.js';

/** What decides how a receiver gets its copies. */
export interface ReceiverRules {
  readonly subjects: Subjects;
  /** Receivers with a rate; keys: `<host>/<port>`. */
  readonly rated: Collection<true>;
}

/** What makes the copy, on a packet that nobody needs afterwards. */
export function copyTo(
  context: EntryContext,
  { subjects, rated }: ReceiverRules,
  { id, host, port }: Pick<LocalEndpoint, 'id' | 'host' | 'port'>,
): readonly Action[] {
  const subject = subjectNumber(subjects, context, id, 'in');
  if (subject !== undefined) {
    return [
      R.outputPort.set(port),
      R.flooded.set(1),
      R.judgeIngress.set(1),
      R.ingressSubject.set(subject),
      resubmit(T.ingress_policy),
    ];
  }
  return context.get(rated, `${host}/${port}`) === true
    ? [R.outputPort.set(port), R.flooded.set(1), resubmit(T.qos_in)]
    : [output(port)];
}
