/** Desired entries: what apps ask for (specs) and what a switch is to hold (desired flows, groups and meters), in scopes. */
import type { Action, Bucket, Instruction, Match, MeterBand } from '../../ofproto/index.js';
import type { Table } from './pipeline.js';

/**
 * Kinds of scopes; the position is the number in cookies, so append only. `global` is every claimed switch's, `host` (by host
 * name, or by datapath id for a switch that no agent claims) one switch's; the others are shared by the switches that carry the
 * object. A switch subscribes to one `host` scope at most.
 */
export const SCOPE_KINDS = [
  'global',
  'host',
  'network',
  'tenant',
  'policy',
  'group',
  'service',
  'router',
  'multicast',
  'datapath',
  'underlay',
  'identity',
] as const;

export type ScopeKind = (typeof SCOPE_KINDS)[number];

/** `network:7`, `host:h1`, `global`. */
export type ScopeName = 'global' | `${Exclude<ScopeKind, 'global'>}:${string | number}`;

export function scopeKind(scope: ScopeName): ScopeKind {
  const colon = scope.indexOf(':');
  return (colon < 0 ? scope : scope.slice(0, colon)) as ScopeKind;
}

/** A flow entry as an app asks for it. Instructions are made in the order of execution. */
export interface FlowSpec {
  readonly table: Table;
  /** 1 to 65535; 0 is the table's miss entry, which the pipeline makes. */
  readonly priority: number;
  /** Prerequisites (`eth_type` before `ipv4_src`) included. Register fields of one register are merged. */
  readonly match: Match;
  /** Id of a meter to pass first. */
  readonly meter?: number;
  /** Executed at once. */
  readonly apply?: readonly Action[];
  /** Merged into the action set, executed where the pipeline ends. */
  readonly write?: readonly Action[];
  readonly metadata?: { readonly value: bigint; readonly mask: bigint };
  readonly goto?: Table;
  /** An entry that does nothing has to say that it means to drop. */
  readonly drop?: true;
  /** Number of what the entry is about, 32 bits, for its cookie. Default 0. */
  readonly object?: number;
}

/** A group as an app asks for it. Ids are the app's to choose, unique on a switch and the same on every switch. */
export interface GroupSpec {
  readonly id: number;
  /** `GroupType`. */
  readonly groupType: number;
  readonly buckets: readonly Bucket[];
  /** Number of what the group is about, for explanations; no switch sees it. Default 0: nothing. */
  readonly object?: number;
}

/** A meter as an app asks for it. */
export interface MeterSpec {
  readonly id: number;
  /** `MeterFlag` bits. */
  readonly flags: number;
  readonly bands: readonly MeterBand[];
  /** As of a group. */
  readonly object?: number;
}

/** A queue of a host, as an app asks for it. */
export interface QueueSpec {
  /** 0 to 7; a higher one is served first, 0 is where everything else goes. */
  readonly queue: number;
  /** What it has for sure, kilobits per second. */
  readonly guaranteedKilobitsPerSecond?: number;
  /** Marks (DSCP, 1 to 63) of the packets it is for, for switches that cannot tell them otherwise; ascending. */
  readonly marks: readonly number[];
}

/** A flow entry that a switch is to hold. */
export interface DesiredFlow {
  readonly kind: 'flow';
  /** Table id. */
  readonly table: number;
  readonly priority: number;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
  readonly cookie: bigint;
}

/** A group that a switch is to hold. `owner`: app and rule, since groups have no cookie. */
export interface DesiredGroup extends GroupSpec {
  readonly kind: 'group';
  readonly owner: string;
}

/** A meter that a switch is to hold. */
export interface DesiredMeter extends MeterSpec {
  readonly kind: 'meter';
  readonly owner: string;
}

export type DesiredEntry = DesiredFlow | DesiredGroup | DesiredMeter;
