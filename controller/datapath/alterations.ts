/** Which sides of the judgement a settlement alters, as the apps declare it. */
import type { Change, Collection, Settlement } from '../derive/index.js';
import type { Side } from './pipeline.js';

export class Alterations {
  readonly #declared: ((settlement: Settlement) => Iterable<Side>)[] = [];

  declare<S>(collection: Collection<S>, sidesOf: (change: Change<S>) => readonly Side[]): void {
    this.#declared.push((settlement) => settlement.changesOf(collection).flatMap(sidesOf));
  }

  sidesOf(settlement: Settlement): ReadonlySet<Side> {
    const sides = new Set<Side>();
    for (const declared of this.#declared) for (const side of declared(settlement)) sides.add(side);
    return sides;
  }
}
