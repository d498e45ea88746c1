/** Puts the parts of multipart replies together. */
import type { MultipartReply } from './multipart.js';

/** A reply that cannot be put together; its parts so far have been dropped. */
export class MultipartError extends Error {
  readonly code = 'OFPROTO_MULTIPART';

  constructor(
    readonly xid: number,
    reason: string,
  ) {
    super(`multipart reply with xid ${xid}: ${reason}`);
    this.name = 'MultipartError';
  }
}

export interface MultipartLimits {
  /** Replies under way at a time. Default 64. */
  readonly maxReplies?: number;
  /** Records (or bytes, where the body is bytes) of one reply. Default 4,000,000. */
  readonly maxRecords?: number;
}

type Records = readonly unknown[] | Uint8Array;

interface Parts {
  readonly first: MultipartReply;
  readonly bodies: Records[];
  records: number;
}

/** Assembles replies by xid, one assembler for one connection. What it holds is bounded. */
export class MultipartAssembler {
  private readonly replies = new Map<number, Parts>();
  private readonly maxReplies: number;
  private readonly maxRecords: number;

  constructor(limits: MultipartLimits = {}) {
    this.maxReplies = limits.maxReplies ?? 64;
    this.maxRecords = limits.maxRecords ?? 4_000_000;
  }

  /** Replies of which parts are missing. */
  get size(): number {
    return this.replies.size;
  }

  /**
   * Takes a part; returns the whole reply (with `more` false) where it was the last, else undefined.
   * @throws MultipartError where parts of different types share an xid, or a limit is passed.
   */
  add(part: MultipartReply): MultipartReply | undefined {
    const { xid } = part;
    const parts = this.replies.get(xid);
    if (parts === undefined) {
      if (!part.more) return part;
      if (this.replies.size >= this.maxReplies) {
        throw new MultipartError(xid, `${this.maxReplies} other replies are incomplete`);
      }
      const body = recordsOf(part);
      this.replies.set(xid, { first: part, bodies: [body], records: body.length });
      return undefined;
    }
    const problem = this.problemWith(parts, part);
    if (problem !== undefined) {
      this.replies.delete(xid);
      throw new MultipartError(xid, problem);
    }
    const body = recordsOf(part);
    parts.bodies.push(body);
    parts.records += body.length;
    if (part.more) return undefined;
    this.replies.delete(xid);
    return join(parts);
  }

  /** Forgets the parts of a reply nobody waits for any more. */
  drop(xid: number): void {
    this.replies.delete(xid);
  }

  private problemWith(parts: Parts, part: MultipartReply): string | undefined {
    const { first } = parts;
    if (part.multipartType !== first.multipartType) {
      return `a part of type ${part.multipartType} after one of type ${first.multipartType}`;
    }
    if (parts.records + recordsOf(part).length > this.maxRecords)
      return `more than ${this.maxRecords} records`;
    return undefined;
  }
}

/** The records of a part. A body that is one structure is a record of its own: the last part's counts. */
function recordsOf(part: MultipartReply): Records {
  const { body } = part;
  if (body instanceof Uint8Array || Array.isArray(body)) return body;
  if (part.multipartType === 'experimenter') return part.body.data;
  return [body];
}

function join({ first, bodies, records }: Parts): MultipartReply {
  const head = { ...first, more: false };
  if (bodies[0] instanceof Uint8Array) {
    const data = new Uint8Array(records);
    let offset = 0;
    for (const body of bodies as Uint8Array[]) {
      data.set(body, offset);
      offset += body.length;
    }
    const body = first.multipartType === 'experimenter' ? { ...first.body, data } : data;
    return { ...head, body } as MultipartReply;
  }
  const body = (bodies as (readonly unknown[])[]).flat();
  return { ...head, body: Array.isArray(first.body) ? body : body.at(-1) } as MultipartReply;
}
