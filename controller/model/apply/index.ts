/** The two requests that change the intents, as operations on the state. Both throw ModelError and then leave nothing. */
import type { IntentObject } from '../intents.js';
import { ModelError, type ApplyResult, type ModelDefaults, type ObjectRef, type Problem } from '../types.js';
import type { State } from '../state.js';
import { validateObject } from '../validate.js';
import { applyEndpoints } from './endpoints.js';
import { applyAddressSets, applyGroups, applyPolicies, applyTiers, warnOfUnknownMembers } from './groups.js';
import { applyBindings, applyHosts, warnOfUnknownHosts } from './hosts.js';
import { applyNetworks } from './networks.js';
import { checkOwners, warnOfOwners } from './owners.js';
import { Plan } from './plan.js';
import { applyProfiles } from './profiles.js';
import { removeNamed, removeUnwanted } from './remove.js';
import { warnOfRules } from './rule-warnings.js';
import { checkGroupSets } from './rule-check.js';
import { applyRules } from './rules.js';
import { applyTenants, checkOverlaps, warnOfKeptValues } from './tenants.js';

export interface ApplyMode {
  readonly mode: 'add' | 'replace';
  /**
   * `replace` leaves alone what netplugin's documents carry apart or cannot say: late bindings whose endpoints stay, and
   * everything of policy and quality of service.
   */
  readonly keepApart?: boolean;
  /** Found before, while the objects were made from another format. */
  readonly problems?: readonly Problem[];
}

/** Throws what the schemas do not allow; needs no state. */
export function checkObjects(objects: readonly unknown[]): readonly IntentObject[] {
  const problems: Problem[] = [];
  const valid: IntentObject[] = [];
  for (const value of objects) {
    const result = validateObject(value);
    if ('object' in result) valid.push(result.object);
    else problems.push(...result.problems);
  }
  if (problems.length > 0) throw new ModelError(problems);
  return valid;
}

export function applyOperation(
  state: State,
  defaults: ModelDefaults,
  objects: readonly IntentObject[],
  { mode, keepApart = false, problems = [] }: ApplyMode,
): Omit<ApplyResult, 'dryRun'> {
  const plan = new Plan(state, defaults, objects);
  for (const problem of problems) plan.problems.add(problem);
  checkOwners(plan);
  if (mode === 'replace') removeUnwanted(plan, { keepApart });
  applyTenants(plan);
  applyHosts(plan);
  applyTiers(plan);
  applyProfiles(plan);
  applyNetworks(plan);
  checkOverlaps(plan);
  warnOfKeptValues(plan);
  applyAddressSets(plan);
  applyPolicies(plan);
  applyGroups(plan);
  applyRules(plan, keepApart ? 'add' : mode);
  checkGroupSets(plan);
  applyEndpoints(plan);
  warnOfUnknownMembers(plan);
  warnOfRules(plan);
  applyBindings(plan);
  warnOfUnknownHosts(plan);
  plan.problems.throwErrors();
  return { changes: plan.changes(), warnings: plan.problems.warnings };
}

export function removeOperation(
  state: State,
  defaults: ModelDefaults,
  refs: readonly ObjectRef[],
  { cascade, problems = [] }: { cascade: boolean; problems?: readonly Problem[] },
): Omit<ApplyResult, 'dryRun'> {
  const plan = new Plan(state, defaults, []);
  for (const problem of problems) plan.problems.add(problem);
  warnOfOwners(plan, refs);
  removeNamed(plan, refs, cascade);
  plan.problems.throwErrors();
  return { changes: plan.changes(), warnings: plan.problems.warnings };
}
