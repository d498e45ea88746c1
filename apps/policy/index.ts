/** Policy: what endpoints may send and receive. */
import type { App, EntryContext } from '../../controller/datapath/app.js';
import { R, T } from '../pipeline.js';
import { placementsOf } from '../placement.js';

/** Above all rules: packets that nobody here is judged for. */
const UNJUDGED = 65_000;

export const policy: App = {
  name: 'policy',
  id: 10,
  declare(d) {
    const { always } = placementsOf(d);
    d.entries('unjudged', always, unjudged);
  },
};

function unjudged(context: EntryContext): void {
  context.flow('global', {
    table: T.egress_policy,
    priority: UNJUDGED,
    match: [R.judgeEgress.match(0)],
    goto: T.ingress_policy,
  });
  context.flow('global', {
    table: T.ingress_policy,
    priority: UNJUDGED,
    match: [R.judgeIngress.match(0)],
    goto: T.admit,
  });
}
