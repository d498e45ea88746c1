/** When a change is made in two steps (`transition.ts`), and when the second one is due. */
import type { DatapathId } from '../model/facts.js';
import { tableOfKey } from './canonical.js';
import type { DesiredChanges, DesiredTables } from './desired.js';
import type { Timer } from './environment.js';
import type { Side, TransitionDeclaration } from './pipeline.js';
import type { Scope, ScopeChanges } from './scopes.js';
import type { Transition } from './transition.js';
import { type Turn, TurnInTwoSteps } from './turn.js';

/** Milliseconds for which the second step waits for acknowledgements of the first: a switch that is silent delays nobody for longer. */
const PATIENCE_MS = 2_000;

/** Milliseconds after which a transition takes in no more changes. */
const LONGEST_EXTENSION_MS = 1_000;

export interface TransitionsOptions {
  readonly desired: DesiredTables;
  readonly after: Timer;
  /** Milliseconds from the acknowledgements to the second step: what datapaths need to go through the flows they have cached. */
  readonly graceMs: number;
  connected(datapathId: DatapathId): boolean;
  /** Sends each switch its changes. */
  send(changes: ScopeChanges): Turn;
}

interface Open {
  readonly transition: Transition;
  /** First steps that are not acknowledged. */
  readonly turns: Set<Turn>;
  readonly finished: Promise<Turn>;
  readonly finish: (second: Turn) => void;
  /** It takes in no more changes. */
  full: boolean;
  readonly cancelFull: () => void;
  cancelPatience: () => void;
  cancelGrace: () => void;
}

const NOTHING = (): void => {};

export class Transitions {
  #open: Open | undefined;

  constructor(private readonly options: TransitionsOptions) {}

  /** While a transition takes in no more changes: resolves when it is over. */
  get full(): Promise<unknown> | undefined {
    return this.#open?.full === true ? this.#open.finished : undefined;
  }

  /** Derives what follows from the facts as they are now. `staged`: it is the first step of two. */
  settle(): { readonly changes: DesiredChanges; readonly staged: boolean } {
    let staged = false;
    this.#open?.transition.suspend();
    const changes = this.options.desired.settle((sides) => {
      if (this.#open === undefined) staged = this.#begin(sides);
      else staged = sides.size > 0;
      this.#open?.transition.resume(staged);
    });
    return { changes, staged };
  }

  /** A first step has been sent: the turn that is done with the second one. */
  sent(turn: Turn): Turn {
    const open = this.#open as Open;
    open.cancelGrace();
    open.cancelPatience();
    open.cancelPatience = this.options.after(PATIENCE_MS, () => this.#finish(open));
    open.turns.add(turn);
    void turn.all().then(() => {
      open.turns.delete(turn);
      if (open.turns.size > 0 || this.#open !== open) return;
      open.cancelGrace = this.options.after(this.options.graceMs, () => this.#finish(open));
    });
    return new TurnInTwoSteps(turn, open.finished);
  }

  /** Makes the second step now, if there is a transition. */
  finish(): void {
    if (this.#open !== undefined) this.#finish(this.#open);
  }

  /** True, and there is a transition, if two switches could contradict each other while they change. */
  #begin(sides: ReadonlySet<Side>): boolean {
    const declaration = this.options.desired.pipeline.transition;
    if (declaration === undefined || sides.size < 2 || !this.#concernsSeveral(declaration)) return false;
    const { desired, after } = this.options;
    let finish: (second: Turn) => void = NOTHING;
    const finished = new Promise<Turn>((resolve) => {
      finish = resolve;
    });
    const open: Open = {
      transition: desired.beginTransition(declaration),
      turns: new Set(),
      finished,
      finish,
      full: false,
      cancelFull: after(LONGEST_EXTENSION_MS, () => {
        open.full = true;
      }),
      cancelPatience: NOTHING,
      cancelGrace: NOTHING,
    };
    this.#open = open;
    return true;
  }

  /** True if judging tables of two connected switches or more change. */
  #concernsSeveral({ judging }: TransitionDeclaration): boolean {
    const { desired, connected } = this.options;
    const seen = new Set<Scope>();
    const concerned = new Set<DatapathId>();
    for (const { scope, key } of desired.scopes.pending()) {
      if (seen.has(scope) || !judging.has(tableOfKey(key) ?? -1)) continue;
      seen.add(scope);
      for (const datapathId of scope.subscribers) {
        if (!connected(datapathId)) continue;
        concerned.add(datapathId);
        if (concerned.size > 1) return true;
      }
    }
    return false;
  }

  #finish(open: Open): void {
    if (this.#open !== open) return;
    this.#open = undefined;
    open.cancelFull();
    open.cancelPatience();
    open.cancelGrace();
    open.transition.finish();
    open.finish(this.options.send(this.options.desired.scopes.takeChanges()));
  }
}
