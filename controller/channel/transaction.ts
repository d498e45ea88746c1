/**
 * A turn's modifications, encoded once and sent to many switches.
 *
 *     const turn = new TurnEncoder(numbering);
 *     const shared = turn.chunk(modificationsOfNetwork7);          // one encoding
 *     for (const session of members)
 *       session.transact(turn.transaction({ chunks: [shared, turn.chunk(own.get(session))] }));
 *
 * On the wire, per switch: meters; bundle open; the chunks' modifications, each inside a bundle-add message; bundle close. Only
 * when the switch has answered the close, and refused nothing, come bundle commit, `metersAfter` and a barrier. That round trip
 * is what makes the whole atomic: Open vSwitch answers a modification it cannot parse with an error and commits the rest of
 * the bundle all the same (seen on 3.1), so a commit sent blindly behind the modifications would leave half of them in effect.
 * One modification alone has no other half: it goes out with its commit, in one write and one round trip.
 */
import type { ErrorMessage, FlowMod, GroupMod, MeterMod } from '../../ofproto/index.js';

/** What goes into a bundle. Its own `xid` is not used: it travels with the one its chunk assigns. */
export type Modification = FlowMod | GroupMod;

/** Modifications in wire form. `modifications[i]` travels with xid `firstXid + i`, inside a bundle-add message of `bundleId`. */
export interface Chunk<M extends Modification | MeterMod = Modification> {
  /** 0 for a chunk of meters, which is not in a bundle. */
  readonly bundleId: number;
  readonly firstXid: number;
  readonly modifications: readonly M[];
  readonly bytes: Uint8Array;
}

/** What `SwitchSession.transact` takes; made by `TurnEncoder.transaction` in turn-encoder.ts. */
export interface Transaction {
  readonly bundleId: number;
  /** Sent before the bundle, outside it: additions and changes of meters. */
  readonly meters: readonly Chunk<MeterMod>[];
  readonly chunks: readonly Chunk[];
  /** Sent after the commit, outside the bundle: deletions of meters, which would take the entries using them along. */
  readonly metersAfter: readonly Chunk<MeterMod>[];
  readonly frames: BundleFrames;
  /** All that is written before the commit: meters, open, chunks, close; small pieces joined, since each costs a write. */
  readonly upload: readonly Uint8Array[];
  /** Open to barrier in one piece, where there is one modification and nothing else: that is atomic without waiting for the close. */
  readonly single?: Uint8Array;
}

/** The control messages of a bundle with their xids; the same for every switch of the turn. */
export interface BundleFrames {
  readonly openXid: number;
  readonly closeXid: number;
  readonly commitXid: number;
  readonly barrierXid: number;
  readonly open: Uint8Array;
  readonly close: Uint8Array;
  readonly commit: Uint8Array;
  /** Discards the bundle instead; travels with `commitXid`. */
  readonly discard: Uint8Array;
  readonly barrier: Uint8Array;
  /** `commit` and `barrier` in one piece. */
  readonly commitAndBarrier: Uint8Array;
}

export interface TransactionResult {
  /** Every modification, and every meter, is in effect. */
  readonly committed: boolean;
  /**
   * The modifications are in effect all or not at all. False for a switch without bundles: there every modification that is not
   * in `errors` is in effect. Meters are never part of it: one that is not in `errors` is in effect.
   */
  readonly atomic: boolean;
  readonly errors: readonly TransactionError[];
}

/** One refusal. Without `modification`, the error is about the bundle itself. */
export interface TransactionError {
  readonly modification?: Modification | MeterMod;
  readonly error: ErrorMessage;
  /** As the specification writes it, such as `OFPBAC_BAD_OUT_GROUP`. */
  readonly name: string;
}
