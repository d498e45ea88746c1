/**
 * What is answered to a question of an endpoint.
 *
 *     name.DOMAIN, reverse names of addresses that endpoints have    the controller, by `name.lookup`
 *     everything else                                                the resolvers of the host
 *
 * What the controller answered is remembered: for as long as its answer says without asking again, and beyond that for when the controller
 * cannot be asked (serving stale data, RFC 8767). Only what was never asked is not known then: SERVFAIL, and the asker tries again.
 */
import { isIPv4, isIPv6 } from 'node:net';
import packet, { type Answer, type DecodedPacket, type Question } from 'dns-packet';
import type { Transport } from './forwarder.js';

/** As the result of `name.lookup`. */
export interface Named {
  readonly exists: boolean;
  readonly addresses: readonly string[];
  readonly names: readonly string[];
}

export interface ResolverOptions {
  /** Without dots at its ends: `weft.internal`. */
  readonly domain: string;
  /** `name.lookup`. Rejects while the controller cannot be asked. */
  lookUp(question: {
    readonly endpoint: string;
    readonly name?: string;
    readonly address?: string;
  }): Promise<Named>;
  /** Asks a resolver of the host. Rejects when none answers. */
  forward(question: Buffer, transport: Transport): Promise<Buffer>;
  /** Milliseconds; default `Date.now`. */
  readonly now?: () => number;
}

/** Response codes (RFC 1035, section 4.1.1). */
export const Rcode = {
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
} as const;

/** Seconds that an answer holds: an endpoint that has moved keeps its address, one that is made anew may have another. */
const TTL_S = 5;
/** How long an answer is given although it is old, while the controller cannot be asked (RFC 8767, section 5.1). */
const STALE_MS = 24 * 3_600_000;
const MOST_REMEMBERED = 10_000;
/** Bits of the header's flags; a query has opcode 0. */
const AUTHORITATIVE = 0x400;
const OPCODE = 0x7800;
/** What fits into an answer over UDP to an asker that says nothing else, and what we give to one that does (RFC 9715). */
const NO_EXTENSION = { extendedRcode: 0, ednsVersion: 0, flag_do: false } as const;
const PLAIN_BYTES = 512;
const LARGEST_BYTES = 1_232;

interface Remembered {
  readonly named: Named;
  readonly at: number;
}

export class Resolver {
  readonly #remembered = new Map<string, Remembered>();
  readonly #suffix: string;
  readonly #now: () => number;

  constructor(private readonly options: ResolverOptions) {
    this.#suffix = `.${options.domain.toLowerCase()}`;
    this.#now = options.now ?? Date.now;
  }

  /** The answer to a message; undefined for what is not answered at all: answers, and less than a header. */
  async answer(endpoint: string, message: Buffer, transport: Transport): Promise<Buffer | undefined> {
    if (message.length < 12 || (message[2] ?? 0) >= 0x80) return undefined;
    let asked: DecodedPacket;
    try {
      asked = packet.decode(message);
    } catch {
      return failed(message, Rcode.formatError);
    }
    const [question, second] = asked.questions ?? [];
    if ((message.readUInt16BE(2) & OPCODE) !== 0) return failed(message, Rcode.notImplemented);
    if (question === undefined || second !== undefined) return failed(message, Rcode.formatError);
    try {
      const named = await this.#named(endpoint, question);
      if (named === undefined) return await this.options.forward(message, transport);
      return this.#encode(asked, question, named, transport);
    } catch {
      return failed(message, Rcode.serverFailure, question);
    }
  }

  /** What a question of ours means; undefined: it is for others. */
  async #named(endpoint: string, { name, class: of }: Question): Promise<Named | undefined> {
    const lower = name.toLowerCase();
    if (of !== undefined && of !== 'IN') return undefined;
    if (lower === this.#suffix.slice(1)) return { exists: true, addresses: [], names: [] };
    if (lower.endsWith(this.#suffix)) {
      const asked = name.slice(0, -this.#suffix.length);
      return await this.#lookUp(`${endpoint} ${asked.toLowerCase()}`, { endpoint, name: asked });
    }
    const address = addressOfReverse(lower);
    if (address === undefined) return undefined;
    const named = await this.#lookUp(`${endpoint} ${address}`, { endpoint, address });
    // It is nobody's here: others may know.
    return named.exists ? named : undefined;
  }

  async #lookUp(key: string, question: Parameters<ResolverOptions['lookUp']>[0]): Promise<Named> {
    const known = this.#remembered.get(key);
    const age = known === undefined ? Number.POSITIVE_INFINITY : this.#now() - known.at;
    if (known !== undefined && age < TTL_S * 1_000) return known.named;
    try {
      const named = await this.options.lookUp(question);
      this.#remember(key, named);
      return named;
    } catch (error) {
      if (known !== undefined && age < STALE_MS) return known.named;
      throw error;
    }
  }

  #remember(key: string, named: Named): void {
    this.#remembered.delete(key);
    this.#remembered.set(key, { named, at: this.#now() });
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size <= MOST_REMEMBERED) break;
      this.#remembered.delete(oldest);
    }
  }

  #encode(asked: DecodedPacket, question: Question, named: Named, transport: Transport): Buffer {
    const edns = asked.additionals?.find((record) => record.type === 'OPT');
    const offered = edns?.type === 'OPT' ? edns.udpPayloadSize : PLAIN_BYTES;
    const most = transport === 'tcp' ? 0xffff : Math.min(Math.max(offered, PLAIN_BYTES), LARGEST_BYTES);
    const answers = named.exists ? answersTo(question, named, this.options.domain) : [];
    const base: packet.Packet = {
      type: 'response',
      id: asked.id ?? 0,
      questions: [question],
      additionals:
        edns === undefined
          ? []
          : [
              {
                type: 'OPT',
                name: '.',
                udpPayloadSize: LARGEST_BYTES,
                flags: 0,
                options: [],
                ...NO_EXTENSION,
              },
            ],
    };
    const flags =
      AUTHORITATIVE |
      packet.RECURSION_AVAILABLE |
      ((asked.flags ?? 0) & packet.RECURSION_DESIRED) |
      (named.exists ? 0 : Rcode.nameError);
    const whole = packet.encode({ ...base, flags, answers });
    if (whole.length <= most) return whole;
    return packet.encode({ ...base, flags: flags | packet.TRUNCATED_RESPONSE, answers: [] });
  }
}

function answersTo({ name, type }: Question, { addresses, names }: Named, domain: string): Answer[] {
  const common = { name, ttl: TTL_S, class: 'IN' } as const;
  const wanted = (kind: 'A' | 'AAAA' | 'PTR'): boolean => type === kind || (type as string) === 'ANY';
  return [
    ...(wanted('A')
      ? addresses.filter((data) => isIPv4(data)).map((data): Answer => ({ ...common, type: 'A', data }))
      : []),
    ...(wanted('AAAA')
      ? addresses.filter((data) => isIPv6(data)).map((data): Answer => ({ ...common, type: 'AAAA', data }))
      : []),
    ...(wanted('PTR')
      ? names.map((data): Answer => ({ ...common, type: 'PTR', data: `${data}.${domain}` }))
      : []),
  ];
}

/** An answer without records, made of the question's bytes so that it can be given to any. */
export function failed(message: Buffer, rcode: number, question?: Question): Buffer {
  const recursion = message.readUInt16BE(2) & packet.RECURSION_DESIRED;
  return packet.encode({
    type: 'response',
    id: message.readUInt16BE(0),
    flags: packet.RECURSION_AVAILABLE | recursion | rcode,
    questions: question === undefined ? [] : [question],
  });
}

/** The address in a reverse name (RFC 1035, section 3.5; RFC 3596, section 2.5). */
export function addressOfReverse(name: string): string | undefined {
  const ipv4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
  if (ipv4 !== null) {
    const address = ipv4.slice(1).reverse().join('.');
    return isIPv4(address) ? address : undefined;
  }
  const ipv6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)?.[1];
  if (ipv6 === undefined) return undefined;
  const digits = ipv6.split('.').join('').split('').reverse().join('');
  return digits.match(/.{4}/g)?.join(':');
}
