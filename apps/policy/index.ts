/**
 * Policy: what endpoints may send and receive. Who is judged (`subjects.ts`, `sides.ts`), who is at the other end (`classes.ts`,
 * `prefixes.ts`, `identities.ts`), which rule decides (`rules.ts`), and what becomes of the packet (`verdicts.ts`).
 */
import type { App } from '../../controller/datapath/app.js';
import { declareAlterations } from './alterations.js';
import { declareIdentities } from './identities.js';
import { declareProblems } from './problems.js';
import { declareRules } from './rules.js';
import { declareSides } from './sides.js';
import { subjectsOf } from './subjects.js';
import { declareVerdicts } from './verdicts.js';

export const policy: App = {
  name: 'policy',
  id: 10,
  declare(d) {
    const subjects = subjectsOf(d);
    const identities = declareIdentities(d, subjects);
    const rules = declareRules(d, subjects, identities);
    declareVerdicts(d, subjects);
    declareSides(d, subjects);
    declareProblems(d, subjects, rules);
    declareAlterations(d);
  },
};
