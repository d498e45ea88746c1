/** Timers of group membership and their defaults (RFC 3376, section 8; RFC 3810, section 9). Milliseconds. */

/** What one querier says of its timers. */
export interface Timing {
  /** How many messages may be lost. */
  readonly robustness: number;
  /** Between general queries. */
  readonly queryIntervalMs: number;
  /** Within which receivers answer a general query. */
  readonly responseMs: number;
}

export const DEFAULT_TIMING: Timing = { robustness: 2, queryIntervalMs: 125_000, responseMs: 10_000 };

/** Between queries for a group that a receiver has left, and within which others answer them. */
export const LAST_MEMBER_INTERVAL_MS = 1_000;

/** Until a receiver that says nothing is gone. An older version is taken for present as long (sections 8.4 and 8.13). */
export function membershipIntervalMs({ robustness, queryIntervalMs, responseMs }: Timing): number {
  return robustness * queryIntervalMs + responseMs;
}

/** Until a querier that says nothing is gone (section 8.5). */
export function querierPresentMs({ robustness, queryIntervalMs, responseMs }: Timing): number {
  return robustness * queryIntervalMs + responseMs / 2;
}

/** Bounds for what queries of others say: neither a moment nor a day. */
const SHORTEST_INTERVAL_MS = 1_000;
const LONGEST_INTERVAL_MS = 3_600_000;

/** The timers of another querier; what it does not say is as by default. */
export function timingOf(query: {
  readonly robustness: number;
  readonly intervalMs: number;
  readonly maxResponseMs: number;
}): Timing {
  const { robustness, queryIntervalMs } = DEFAULT_TIMING;
  const bounded = Math.min(Math.max(query.intervalMs, SHORTEST_INTERVAL_MS), LONGEST_INTERVAL_MS);
  const interval = query.intervalMs === 0 ? queryIntervalMs : bounded;
  return {
    robustness: query.robustness === 0 ? robustness : query.robustness,
    queryIntervalMs: interval,
    responseMs: Math.min(query.maxResponseMs, interval),
  };
}
