/** What became of a packet in one switch, as a tree: lookups, what the entry that was found did, and what left the switch. */
import type { Found } from './flow-table.js';
import type { Packet } from './packet.js';

/** Why a table was looked up. */
export type LookupCause = 'start' | 'goto' | 'resubmit' | 'tracked';

export interface Lookup<E> extends Found<E> {
  readonly kind: 'lookup';
  readonly table: number;
  readonly cause: LookupCause;
  /** As it was when it was looked up. */
  readonly packet: Packet;
  /** What the entry did, in order; nothing where none was found. */
  readonly steps: readonly Step<E>[];
}

/** What has to be given for the execution to go on. */
export type Unread = { readonly table: number } | 'groups';

export type Step<E> =
  | Lookup<E>
  /** A copy leaves by a port. */
  | { readonly kind: 'output'; readonly port: number; readonly packet: Packet; readonly queue?: number }
  /** An output that does nothing, because the packet came by this port. */
  | { readonly kind: 'suppressed'; readonly port: number }
  /** A copy goes to a controller. */
  | {
      readonly kind: 'controller';
      readonly controllerId: number;
      readonly meterId?: number;
      readonly userdata?: Uint8Array;
      readonly packet: Packet;
    }
  /**
   * Each bucket works on its own copy. `chosen`: the switch takes one of the buckets, by a hash that is not known here. `failover`: of the
   * buckets only that of this index, the first that is live, is taken and here; -1: none is live.
   */
  | {
      readonly kind: 'group';
      readonly id: number;
      readonly chosen: boolean;
      readonly failover?: number;
      readonly buckets: readonly (readonly Step<E>[])[];
    }
  /** Connection tracking; `lookup`: what becomes of the copy that goes on with what is known of its connection. */
  | {
      readonly kind: 'track';
      readonly zone: number;
      readonly commit: boolean;
      readonly lookup?: Lookup<E>;
    }
  /** Actions on a copy. */
  | { readonly kind: 'copy'; readonly steps: readonly Step<E>[] }
  /** The action set, executed where the pipeline ended. */
  | { readonly kind: 'action_set'; readonly steps: readonly Step<E>[] }
  /** A meter is passed, which drops what is above its rate. */
  | { readonly kind: 'meter'; readonly id: number }
  /** Entries of a table, or the groups, were not given; this copy's way ends here for want of them. */
  | { readonly kind: 'unread'; readonly what: Unread }
  /** Something whose outcome cannot be told; this copy's way ends here. */
  | { readonly kind: 'unknown'; readonly what: string };

/** All steps of a tree, each before those below it. */
export function* walk<E>(step: Step<E>): IterableIterator<Step<E>> {
  yield step;
  for (const below of stepsBelow(step)) yield* walk(below);
}

export function stepsBelow<E>(step: Step<E>): readonly Step<E>[] {
  switch (step.kind) {
    case 'lookup':
    case 'copy':
    case 'action_set':
      return step.steps;
    case 'group':
      return step.buckets.flat();
    case 'track':
      return step.lookup === undefined ? [] : [step.lookup];
    default:
      return [];
  }
}

/** Steps of one kind. */
export function stepsOf<E, K extends Step<E>['kind']>(
  root: Step<E>,
  kind: K,
): Extract<Step<E>, { readonly kind: K }>[] {
  return [...walk(root)].filter((step): step is Extract<Step<E>, { readonly kind: K }> => step.kind === kind);
}
