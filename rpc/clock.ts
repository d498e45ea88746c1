/** Time as the peer, the hub and the client need it; tests pass one that they move by hand. */
export interface Clock {
  /** Milliseconds; monotonic. */
  now(): number;
  /** Runs `run` once after `ms` milliseconds unless the returned function is called before. */
  after(ms: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => {
      clearTimeout(timer);
    };
  },
};
