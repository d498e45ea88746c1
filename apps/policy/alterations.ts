/**
 * Which facts decide what connections may do, and on which side: at the host of the source (`out`) or of the destination (`in`). What
 * one settlement alters on both sides goes to the switches in two steps, so that no two of them contradict each other meanwhile.
 *
 * An endpoint that comes or goes alters nothing: nothing of it passed before, or nothing passes any more.
 */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import { type Change, equal } from '../../controller/derive/index.js';
import type { EndpointFact } from '../../controller/model/facts.js';
import { DIRECTIONS, type Direction } from './subjects.js';

const NEITHER: readonly Direction[] = [];

export function declareAlterations({ facts, alters }: AppDeclaration): void {
  alters(facts.rules, ({ before, after }) => [before, after].flatMap((rule) => rule?.direction ?? []));
  alters(facts.policies, (change) => {
    const { before, after } = change;
    if (before !== undefined && after !== undefined && differs(change, ['tier'])) return DIRECTIONS;
    const into = before?.defaultIn === after?.defaultIn ? NEITHER : (['in'] as const);
    return before?.defaultOut === after?.defaultOut ? into : [...into, 'out'];
  });
  alters(facts.groups, (change) =>
    bothIf(differs(change, ['endpoints', 'networks', 'selector', 'policies'])),
  );
  alters(facts.addressSets, (change) => bothIf(differs(change, ['prefixes', 'except'])));
  alters(facts.tenants, (change) => bothIf(differs(change, ['defaultAction'])));
  alters(facts.networks, (change) => bothIf(differs(change, ['ipv4', 'ipv6'])));
  alters(facts.endpoints, (change) =>
    bothIf(
      stays(change) &&
        isAttached(change.before) &&
        !differs(change, ['host']) &&
        differs(change, ['labels', 'groups', 'namedPorts', 'ipv4', 'ipv6']),
    ),
  );
}

const bothIf = (altered: boolean): readonly Direction[] => (altered ? DIRECTIONS : NEITHER);

const stays = ({ before, after }: Change<unknown>): boolean => before !== undefined && after !== undefined;

const isAttached = (endpoint: EndpointFact | undefined): boolean => endpoint?.interface !== undefined;

/** True if the fact came, went, or changed in one of these. */
function differs<S extends object>({ before, after }: Change<S>, names: readonly (keyof S)[]): boolean {
  if (before === undefined || after === undefined) return true;
  return names.some((name) => !equal(before[name], after[name]));
}
