/**
 * From which sources one receiver wants what is sent to a group (RFC 3376, section 6; RFC 3810, section 7). An endpoint is one host, so that its filter
 * is what it says, with a timer for each source of a list, and a leave is believed at once. What cannot be said exactly is more than
 * wanted, never less.
 */
import type { GroupRecord, MembershipVersion, Sources } from './messages.js';

/** Sources of one receiver and group; one that names more gets all. */
export const MAX_SOURCES = 64;

type Address = number | bigint;

export interface WantedSources {
  readonly mode: 'include' | 'exclude';
  /** Ascending. */
  readonly addresses: Sources;
}

export class SourceFilter {
  #mode: 'include' | 'exclude' = 'include';
  /** Included ones and until when; excluded ones, as long as the mode lasts. */
  #sources = new Map<Address, number>();
  /** Of mode exclude. */
  #until = 0;
  /** It has named more sources than are kept: it gets all of them until then. */
  #allUntil = 0;
  #olderUntil = 0;
  #older: MembershipVersion | undefined;

  /** @param restored what was wanted before a restart, for as long as if it had just been said */
  constructor(restored?: { readonly sources: WantedSources | undefined; readonly until: number }) {
    if (restored === undefined) return;
    const { sources, until } = restored;
    this.#mode = sources?.mode ?? 'exclude';
    this.#until = until;
    for (const address of sources?.addresses ?? []) this.#sources.set(address, until);
  }

  /** Nothing is wanted (any more). */
  get empty(): boolean {
    return this.#mode === 'include' && this.#sources.size === 0 && this.#allUntil === 0;
  }

  /** When the next part of it ends, unless it is said again. */
  get deadline(): number {
    const ends = this.#mode === 'exclude' ? [this.#until] : [...this.#sources.values()];
    if (this.#allUntil > 0) ends.push(this.#allUntil);
    return Math.min(...ends);
  }

  /** When all of it ends, unless it is said again. */
  get until(): number {
    const ends = this.#mode === 'exclude' ? [this.#until] : [...this.#sources.values()];
    return Math.max(this.#allUntil, ...ends);
  }

  /** Absent: all sources. Of an empty filter: none are included. */
  get wanted(): WantedSources | undefined {
    if (this.#allUntil > 0 || (this.#mode === 'exclude' && this.#sources.size === 0)) return undefined;
    const addresses = [...this.#sources.keys()].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)) as
      | number[]
      | bigint[];
    return { mode: this.#mode, addresses };
  }

  /** The oldest version that the receiver has spoken lately. */
  version(spoken: MembershipVersion, now: number): MembershipVersion {
    return this.#older !== undefined && now < this.#olderUntil && this.#older < spoken ? this.#older : spoken;
  }

  /**
   * What the receiver says.
   * @param newest version of the family: 3 of IGMP, 2 of MLD
   * @param holdMs for which it is believed
   */
  apply(
    record: GroupRecord,
    spoken: MembershipVersion,
    newest: MembershipVersion,
    now: number,
    holdMs: number,
  ): void {
    const until = now + holdMs;
    if (now >= this.#olderUntil) this.#older = undefined;
    if (spoken < newest && (this.#older === undefined || spoken <= this.#older)) {
      this.#older = spoken;
      this.#olderUntil = until;
    }
    // Hosts of version 1 of IGMP do not say that they leave (RFC 3376, section 7.3.2).
    const cannotLeave = newest === 3 && this.#older === 1;
    const { type, sources } = record;
    switch (type) {
      case 'is-include':
        return this.#include(sources, until);
      case 'to-include':
        if (sources.length > 0) return this.#include(sources, until);
        if (!cannotLeave) this.#leave();
        return;
      case 'is-exclude':
        return this.#exclude(sources, until);
      case 'to-exclude':
        return this.#exclude(this.#older === undefined ? sources : [], until);
      case 'allow':
        return this.#allow(sources, until);
      case 'block':
        if (this.#older === undefined) this.#block(sources);
    }
  }

  /** Forgets what was not said again. */
  expire(now: number): void {
    if (now >= this.#allUntil) this.#allUntil = 0;
    if (this.#mode === 'exclude') {
      if (now >= this.#until) this.#leave();
      return;
    }
    for (const [source, until] of this.#sources) if (now >= until) this.#sources.delete(source);
  }

  /** It is asked about: what it does not say again ends at `at`. */
  shorten(at: number): void {
    this.#until = Math.min(this.#until, at);
    if (this.#allUntil > 0) this.#allUntil = Math.min(this.#allUntil, at);
    for (const [source, until] of this.#sources) this.#sources.set(source, Math.min(until, at));
  }

  #leave(): void {
    this.#mode = 'include';
    this.#sources.clear();
    this.#allUntil = 0;
  }

  /** A long list comes in several messages (RFC 3376, section 4.2.16), so that one does not end what another said. */
  #include(sources: Sources, until: number): void {
    if (this.#mode === 'exclude') this.#sources.clear();
    this.#mode = 'include';
    this.#add(sources, until);
  }

  #exclude(sources: Sources, until: number): void {
    this.#mode = 'exclude';
    this.#until = until;
    this.#allUntil = 0;
    this.#sources.clear();
    if (sources.length <= MAX_SOURCES) for (const source of sources) this.#sources.set(source, until);
  }

  #allow(sources: Sources, until: number): void {
    if (this.#mode === 'include') this.#add(sources, until);
    else for (const source of sources) this.#sources.delete(source);
  }

  #block(sources: Sources): void {
    if (this.#mode === 'include') for (const source of sources) this.#sources.delete(source);
    else {
      for (const source of sources) {
        if (this.#sources.size < MAX_SOURCES) this.#sources.set(source, this.#until);
      }
    }
  }

  #add(sources: Sources, until: number): void {
    for (const source of sources) {
      if (this.#sources.size < MAX_SOURCES || this.#sources.has(source)) this.#sources.set(source, until);
      else this.#allUntil = until;
    }
  }
}
