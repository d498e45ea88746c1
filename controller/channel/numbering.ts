/**
 * One numbering of transaction ids and bundle ids for the whole controller.
 *
 * Both ids are scoped to a connection by the specification, so nothing obliges us to number per connection. One numbering for
 * all connections lets the very same bytes, header and bundle id included, be written to every switch that needs them, while the
 * xid of an error still names the one modification that caused it, whichever switch sent it.
 */

const FIRST_XID = 1; // 0 is what switches put into messages of their own accord (packet-in, port status)
const LAST_XID = 0xffff_ffff;
const LAST_BUNDLE_ID = 0xffff_ffff;

export class Numbering {
  #nextXid: number;
  #nextBundleId: number;

  /** `start` lets a test begin next to the wrap-around. */
  constructor(start: { xid?: number; bundleId?: number } = {}) {
    this.#nextXid = start.xid ?? FIRST_XID;
    this.#nextBundleId = start.bundleId ?? 1;
  }

  /** The next transaction id, 1 to 0xffffffff, then from 1 again. */
  xid(): number {
    return this.xids(1);
  }

  /**
   * Reserves `count` consecutive transaction ids and returns the first. A range never wraps, so `xid - first` is always the
   * index in the range.
   */
  xids(count: number): number {
    if (!Number.isInteger(count) || count < 1 || count > LAST_XID) {
      throw new RangeError(`xids(count): count must be an integer from 1 to ${LAST_XID}, not ${count}`);
    }
    if (this.#nextXid + count - 1 > LAST_XID) this.#nextXid = FIRST_XID;
    const first = this.#nextXid;
    this.#nextXid = first + count > LAST_XID ? FIRST_XID : first + count;
    return first;
  }

  /** The next bundle id, 1 to 0xffffffff, then from 1 again. */
  bundleId(): number {
    const id = this.#nextBundleId;
    this.#nextBundleId = id === LAST_BUNDLE_ID ? 1 : id + 1;
    return id;
  }
}
