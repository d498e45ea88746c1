/**
 * Finds rules that never decide anything, because another one of their policy decides all that they match before: of higher
 * priority, or of the same and deny where they allow, or of the same and earlier in the policy.
 */
import type { AddressBlock, Peer, RuleFact, Service } from '../facts.js';
import { addressSetFact, ruleFact } from '../policy-facts.js';
import { anyCovers, covers } from '../prefixes.js';
import type { Plan } from './plan.js';
import type { CheckedRule } from './rule-check.js';

export interface Shadow {
  readonly code: string;
  readonly message: string;
  readonly fix: string;
}

/** Comparisons in one request. Beyond, rules are taken as meant: a document of that size is not looked at by people. */
const BUDGET = 2_000_000;

export class Shadows {
  readonly #plan: Plan;
  readonly #judged: ReadonlySet<string>;
  readonly #policies = new Map<string, Candidates>();
  #left = BUDGET;

  /** @param judged rules that `of` will be asked about: what one of them says of another is told there */
  constructor(plan: Plan, judged: readonly CheckedRule[]) {
    this.#plan = plan;
    this.#judged = new Set(judged.map(({ id }) => id));
  }

  /** The rule that stands before this one, and of those that are not judged one that this one stands before; one of each. */
  *of(rule: RuleFact): Iterable<Shadow> {
    let above: RuleFact | undefined;
    let below: RuleFact | undefined;
    for (const other of this.#candidates(rule.policy).near(rule)) {
      if (this.#left-- <= 0) return;
      if (other.id === rule.id || other.direction !== rule.direction) continue;
      if (above === undefined && decidesBefore(other, rule) && this.#coversAll(other, rule)) above = other;
      else if (below === undefined && !this.#judged.has(other.id)) {
        if (decidesBefore(rule, other) && this.#coversAll(rule, other)) below = other;
      }
      if (above !== undefined && below !== undefined) break;
    }
    if (above !== undefined) yield shadowed(rule, above);
    if (below !== undefined) {
      yield {
        code: 'shadows',
        message: `decides all that rule ${below.name} of the same policy matches, before it`,
        fix: `remove rule ${below.name}, or give it a priority above ${rule.priority}`,
      };
    }
  }

  #candidates(policy: string): Candidates {
    let candidates = this.#policies.get(policy);
    if (candidates === undefined) {
      candidates = new Candidates();
      for (const id of this.#plan.state.indexes.policy.rulesOfPolicy.get(policy)) {
        const record = this.#plan.state.get('rule', id);
        if (record !== undefined) candidates.add(ruleFact(record));
      }
      this.#policies.set(policy, candidates);
    }
    return candidates;
  }

  #coversAll(outer: RuleFact, inner: RuleFact): boolean {
    return (
      outer.stateless === inner.stateless &&
      coversServices(outer.services, inner.services) &&
      this.#coversGroups(outer, inner) &&
      (outer.peers.length === 0 ||
        (inner.peers.length > 0 &&
          inner.peers.every((peer) => outer.peers.some((other) => this.#coversPeer(other, peer)))))
    );
  }

  #coversGroups({ groupAddresses: outer }: RuleFact, { groupAddresses: inner }: RuleFact): boolean {
    if (outer === undefined) return true;
    return inner?.every((group) => outer.some((other) => this.#coversPeer(other, group))) ?? false;
  }

  #coversPeer(outer: Peer, inner: Peer): boolean {
    if (outer.kind !== 'block' && outer.kind === inner.kind) {
      if (outer.id === inner.id) return true;
    }
    const [outerBlock, innerBlock] = [this.#blockOf(outer), this.#blockOf(inner)];
    return outerBlock !== undefined && innerBlock !== undefined && coversBlock(outerBlock, innerBlock);
  }

  #blockOf(peer: Peer): AddressBlock | undefined {
    if (peer.kind === 'block') return peer.block;
    const set = peer.kind === 'addressSet' ? this.#plan.state.get('addressSet', peer.id) : undefined;
    return set && addressSetFact(set);
  }
}

/** Rules of one policy, by what one has to have in common with a rule to cover it or to be covered by it. */
class Candidates {
  readonly #all: RuleFact[] = [];
  readonly #byProtocol = new Map<number, RuleFact[]>();
  readonly #ofAnyProtocol: RuleFact[] = [];

  add(rule: RuleFact): void {
    this.#all.push(rule);
    const protocol = rule.services[0]?.protocol;
    if (protocol === undefined) return void this.#ofAnyProtocol.push(rule);
    const list = this.#byProtocol.get(protocol);
    if (list === undefined) this.#byProtocol.set(protocol, [rule]);
    else list.push(rule);
  }

  *near({ services }: RuleFact): Iterable<RuleFact> {
    const protocol = services[0]?.protocol;
    if (protocol === undefined) return yield* this.#all;
    yield* this.#ofAnyProtocol;
    yield* this.#byProtocol.get(protocol) ?? [];
  }
}

const allows = ({ action }: RuleFact): boolean => action === 'allow';

/** True when the first rule decides what both match. */
function decidesBefore(first: RuleFact, second: RuleFact): boolean {
  if (first.priority !== second.priority) return first.priority > second.priority;
  if (allows(first) !== allows(second)) return allows(second);
  return first.position < second.position;
}

function shadowed(rule: RuleFact, above: RuleFact): Shadow {
  const same = above.priority === rule.priority;
  const why = !same
    ? `has priority ${above.priority}`
    : allows(above) === allows(rule)
      ? 'stands before it'
      : `of the same priority says ${above.action}, which wins`;
  return {
    code: 'shadowed',
    message: `never decides anything: rule ${above.name} of the same policy matches all that it matches, and ${why}`,
    fix:
      allows(above) === allows(rule)
        ? 'remove it'
        : `give it a priority above ${above.priority}, or remove it`,
  };
}

/** A rule has one service or none (anything). */
function coversServices([outer]: readonly Service[], [inner]: readonly Service[]): boolean {
  if (outer === undefined) return true;
  if (inner === undefined || inner.protocol !== outer.protocol) return false;
  if (outer.icmpType !== undefined && outer.icmpType !== inner.icmpType) return false;
  if (outer.icmpCode !== undefined && outer.icmpCode !== inner.icmpCode) return false;
  if (outer.ports === undefined && outer.portNames === undefined) return true;
  if (inner.ports === undefined && inner.portNames === undefined) return false;
  return (
    (inner.ports ?? []).every(({ first, last }) =>
      (outer.ports ?? []).some((range) => range.first <= first && range.last >= last),
    ) && (inner.portNames ?? []).every((name) => (outer.portNames ?? []).includes(name))
  );
}

function coversBlock(outer: AddressBlock, inner: AddressBlock): boolean {
  return (
    inner.prefixes.length > 0 &&
    inner.prefixes.every((prefix) => anyCovers(outer.prefixes, prefix)) &&
    outer.except.every(
      (exception) =>
        anyCovers(inner.except, exception) ||
        !inner.prefixes.some((prefix) => covers(prefix, exception) || covers(exception, prefix)),
    )
  );
}
