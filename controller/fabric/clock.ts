/** Time, handed in so that tests can make it pass. */
export interface Clock {
  /** Milliseconds of a clock that does not jump. */
  now(): number;
  /** Calls back once, after `milliseconds`. Returns the way to call it off. */
  after(milliseconds: number, callback: () => void): () => void;
}

/** The process's own clock; its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (milliseconds, callback) => {
    const timer = setTimeout(callback, milliseconds);
    timer.unref();
    return () => {
      clearTimeout(timer);
    };
  },
};
