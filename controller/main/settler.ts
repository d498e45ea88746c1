import type { DatapathId } from '../model/facts.js';
import type { SwitchAnswer } from '../hub/index.js';

/** What is needed of a turn of the DatapathController. */
export interface Turn {
  /** Switches whose desired table changed. */
  readonly datapaths: readonly DatapathId[];
  /** Of everything up to and with this turn. */
  acknowledged(datapathId: DatapathId): Promise<SwitchAnswer>;
}

/**
 * When to settle: once at the end of the event-loop turn in which something changed, so that changes that arrive together
 * become one bundle per switch.
 */
export class Settler {
  #next: Promise<Turn> | undefined;
  /** Turns that some switch has not acknowledged yet. */
  readonly #open = new Set<Turn>();

  constructor(
    private readonly settleNow: () => Turn,
    private readonly onFailure: (error: unknown) => void,
    /** Resolves when there can be another turn; undefined: at once. */
    private readonly full: () => Promise<unknown> | undefined = () => undefined,
  ) {}

  /** Facts have changed, or somebody wants to know what became of those that have: the turn that takes them in. */
  settle(): Promise<Turn> {
    this.#next ??= new Promise((resolve, reject) => {
      const settle = () => {
        const full = this.full();
        if (full !== undefined) {
          void full.then(settle);
          return;
        }
        this.#next = undefined;
        try {
          resolve(this.#settle());
        } catch (error) {
          this.onFailure(error);
          reject(error as Error);
        }
      };
      setImmediate(settle);
    });
    return this.#next;
  }

  /** Facts have changed and nobody asks. */
  schedule(): void {
    this.settle().catch(() => undefined); // told to onFailure
  }

  /**
   * What became, on every switch concerned, of all that was committed before the call. Switches that have not answered when
   * the signal aborts answer with reason `timeout`.
   */
  async acknowledged(signal: AbortSignal): Promise<ReadonlyMap<DatapathId, SwitchAnswer>> {
    const last = await this.settle();
    const answers = new Map<DatapathId, Promise<SwitchAnswer[]>>();
    for (const turn of new Set([...this.#open, last])) {
      for (const datapathId of turn.datapaths) {
        const before = answers.get(datapathId) ?? Promise.resolve([]);
        const answer = withTimeout(turn.acknowledged(datapathId), signal);
        answers.set(
          datapathId,
          Promise.all([before, answer]).then(([others, own]) => [...others, own]),
        );
      }
    }
    const merged = await Promise.all(
      [...answers].map(async ([datapathId, answer]) => [datapathId, merge(await answer)] as const),
    );
    return new Map(merged);
  }

  /** Resolves when no turn is open any more, or the signal aborts. */
  async idle(signal: AbortSignal): Promise<void> {
    while (this.#open.size > 0 && !signal.aborted) {
      const turns = [...this.#open];
      await Promise.all(
        turns.flatMap((turn) =>
          turn.datapaths.map((datapathId) => withTimeout(turn.acknowledged(datapathId), signal)),
        ),
      );
    }
  }

  #settle(): Turn {
    const turn = this.settleNow();
    if (turn.datapaths.length > 0) {
      this.#open.add(turn);
      void Promise.all(turn.datapaths.map((datapathId) => turn.acknowledged(datapathId))).finally(() => {
        this.#open.delete(turn);
      });
    }
    return turn;
  }
}

/** One switch's answers to several turns as one. A switch that came back meanwhile holds what an earlier turn asked for. */
function merge(answers: readonly SwitchAnswer[]): SwitchAnswer {
  const refused = answers.flatMap((answer) => answer.refused);
  const last = answers.at(-1);
  if (last !== undefined && !last.ok) return { ...last, refused };
  return refused.length === 0 ? { ok: true, refused } : { ok: false, reason: 'refused', refused };
}

function withTimeout(answer: Promise<SwitchAnswer>, signal: AbortSignal): Promise<SwitchAnswer> {
  return new Promise((resolve) => {
    const onAbort = () => {
      resolve({ ok: false, reason: 'timeout', refused: [] });
    };
    signal.addEventListener('abort', onAbort, { once: true });
    void answer.then((value) => {
      signal.removeEventListener('abort', onAbort);
      resolve(value);
    });
    if (signal.aborted) onAbort();
  });
}
