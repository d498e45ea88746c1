/**
 * Finds out with real packets who reaches whom. Every probe is a conversation of whole frames (a TCP handshake with data, a datagram and
 * its answer, an echo), known by a number that it carries, so that it does not matter if tenants have the same addresses; the
 * endpoints' own network stacks have no addresses and stay silent.
 *
 * A denied probe costs no time of its own: what should come is waited for, then an ARP frame is sent back and forth, twice, on the way of
 * every probe; it is always allowed, and behind it nothing of before is under way.
 */
import { arpFrame } from '../support/frames.js';
import type { Address } from './evaluator.js';
import {
  type Ends,
  icmpFrame,
  ipFrame,
  Protocol,
  reversed,
  sctpFrame,
  TcpFlag,
  tcpFrame,
  udpFrame,
} from './packets.js';
import { type Conversation, type Seen, tag, type Wire } from './wire.js';

/** Somebody who sends and receives. */
export interface Station {
  /** `<tenant>/<network>/<endpoint>` */
  readonly name: string;
  readonly place: number;
  readonly mac: number;
  /** One of each family. */
  readonly addresses: readonly Address[];
}

/** What is tried: a port of tcp, udp or sctp, a type of icmp, or a whole protocol. */
export interface Service {
  readonly protocol: number;
  readonly port?: number;
  readonly icmpType?: number;
}

/** Two who may have frames on the way to each other. */
export interface Pair {
  readonly from: Station;
  readonly to: Station;
}

export interface Probe extends Pair {
  readonly family: 4 | 6;
  readonly service: Service;
}

/**
 * `allow`: there and back. `deny`: nobody saw anything. `reject`: its sender, and nobody else, was told at once by a TCP reset or an ICMP
 * error. Anything else is said in words.
 */
export type Outcome = 'allow' | 'deny' | 'reject' | `wrong: ${string}`;

const PROBES_AT_ONCE = 200;
const PATIENCE_MS = 4_000;
const TRIES = 3;
const POLL_MS = 4;
const FIRST_MARK = 20_000;
const MARKS = 40_000;
const SENTINEL_STEPS = 4;
/** Whose connections are told apart by ports or identifiers. */
const TRACKED_PROTOCOLS: readonly number[] = [Protocol.tcp, Protocol.udp, Protocol.icmp, Protocol.icmpv6];

/** A probe under way. */
interface Attempt {
  readonly probe: Probe;
  readonly index: number;
  readonly number: number;
  /** Source port, or identifier of an echo: what an error about it quotes. */
  readonly mark: number;
  readonly steps: number;
  /** Last step that arrived where it should, from 0; -1: none did. */
  reached: number;
  rejected: boolean;
  astray: string[];
}

export class Prober {
  readonly #names = new Map<number, string>();

  constructor(
    private readonly wire: Wire,
    stations: Iterable<Station>,
    /** Makes every switch forget all connections. */
    private readonly forgetConnections: () => Promise<void>,
  ) {
    for (const { place, name } of stations) this.#names.set(place, name);
  }

  /** Outcomes in the order of the probes; what is expected decides only how long is waited and what is tried again. */
  async run(probes: readonly Probe[], expected: (probe: Probe) => Outcome): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = [];
    for (const [round, indexes] of roundsOf(probes).entries()) {
      if (round > 0) await this.forgetConnections();
      for (let first = 0; first < indexes.length; first += PROBES_AT_ONCE) {
        const window = indexes.slice(first, first + PROBES_AT_ONCE);
        const found = await this.#window(
          window.map((index) => probes[index]!),
          expected,
        );
        for (const [place, index] of window.entries()) outcomes[index] = found[place]!;
      }
    }
    return outcomes;
  }

  /** Returns when what the pairs sent each other before has arrived, wherever it arrives. */
  async quiescence(pairs: readonly Pair[]): Promise<void> {
    await this.#quiescence(new Map(), pairs);
    await this.wire.forget();
  }

  /** Plays a conversation between any stations, and tells all that was seen of it and behind it, errors about it included. */
  async play(conversation: Conversation, pairs: readonly Pair[]): Promise<Seen> {
    const number = this.wire.number();
    const seen: Seen[] = [];
    const frames = conversation.map(
      ([place, frame], step) => [place, Buffer.concat([frame, tag(number, step)])] as const,
    );
    await this.wire.play(new Map([[number, frames]]));
    await this.#quiescence(new Map(), pairs, seen);
    await this.wire.forget();
    return {
      arrived: seen.flatMap(({ arrived }) => arrived).filter(([which]) => which === number),
      others: seen.flatMap(({ others }) => others),
    };
  }

  async #window(probes: readonly Probe[], expected: (probe: Probe) => Outcome): Promise<readonly Outcome[]> {
    const wanted = probes.map(expected);
    const attempts = new Map<number, Attempt>();
    const outcomes: Outcome[] = [];
    let left = probes.map((_, index) => index);
    for (let turn = 0; turn < TRIES && left.length > 0; turn++) {
      const conversations = new Map<number, Conversation>();
      const current = left.map((index) => {
        const probe = probes[index]!;
        const number = this.wire.number();
        const mark = FIRST_MARK + (number % MARKS);
        const frames = conversationOf(probe, number, mark);
        conversations.set(number, frames);
        const attempt: Attempt = {
          probe,
          index,
          number,
          mark,
          steps: frames.length,
          reached: -1,
          rejected: false,
          astray: [],
        };
        attempts.set(number, attempt);
        return attempt;
      });
      await this.wire.play(conversations);
      await this.#until(attempts, () =>
        current.every(
          (attempt) => outcomeOf(attempt) === wanted[attempt.index] || wanted[attempt.index] === 'deny',
        ),
      );
      await this.#quiescence(
        attempts,
        current.map(({ probe }) => probe),
      );
      for (const attempt of current) outcomes[attempt.index] = outcomeOf(attempt);
      // A packet may be lost (the first ones into a tunnel are); one that passes against a rule is never lost sight of.
      const lost = current.filter((attempt) => attempt.astray.length === 0 && !attempt.rejected);
      left = lost
        .map(({ index }) => index)
        .filter((index) => wanted[index] !== 'deny' && outcomes[index] !== wanted[index]);
    }
    await this.wire.forget();
    return outcomes;
  }

  /** Sends a frame to and fro twice between the ends of every attempt, and returns when all of it has arrived. */
  async #quiescence(
    attempts: ReadonlyMap<number, Attempt>,
    probes: readonly Pair[],
    all: Seen[] = [],
  ): Promise<void> {
    const pairs = new Map<string, Pair>();
    for (const pair of probes) pairs.set([pair.from.name, pair.to.name].sort().join(' '), pair);
    let missing = [...pairs.values()];
    for (let turn = 0; turn < TRIES; turn++) {
      const sentinels = new Map(missing.map((pair) => [this.wire.number(), pair]));
      const frames = [...sentinels].map(([number, pair]) => [number, sentinelOf(pair, number)] as const);
      await this.wire.play(new Map(frames));
      await this.#until(attempts, (seen) => {
        all.push(seen);
        for (const [number, step, place] of seen.arrived) {
          const pair = sentinels.get(number);
          if (pair !== undefined && step === SENTINEL_STEPS - 1 && place === pair.from.place) {
            sentinels.delete(number);
          }
        }
        return sentinels.size === 0;
      });
      if (sentinels.size === 0) return;
      missing = [...sentinels.values()];
    }
    const names = missing.map(({ from, to }) => `${from.name} and ${to.name}`);
    throw new Error(`ARP between ${names.join(', ')} does not pass`);
  }

  /** Takes in what is seen until `done` or out of patience. */
  async #until(attempts: ReadonlyMap<number, Attempt>, done: (seen: Seen) => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const seen = await this.wire.seen();
      for (const [number, step, place] of seen.arrived) this.#arrived(attempts.get(number), step, place);
      for (const [place, frame] of seen.others) noteRejection(attempts, place, frame);
      if (done(seen) || Date.now() > deadline) return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #arrived(attempt: Attempt | undefined, step: number, place: number): void {
    if (attempt === undefined) return;
    const { from, to } = attempt.probe;
    if (place === (step % 2 === 0 ? to.place : from.place)) attempt.reached = Math.max(attempt.reached, step);
    else attempt.astray.push(`step ${step} at ${this.#names.get(place)}`);
  }
}

/**
 * Indexes of probes that may go together. What the connection table of the userspace datapath keeps without ports (SCTP too, in Open
 * vSwitch 3.1) is one connection for both directions and all ports of two addresses: each gets a round of its own, after the first.
 */
function roundsOf(probes: readonly Probe[]): readonly (readonly number[])[] {
  const rounds: number[][] = [[]];
  const portless = new Map<string, number>();
  for (const [index, { from, to, family, service }] of probes.entries()) {
    const { protocol } = service;
    let round = 0;
    if (!TRACKED_PROTOCOLS.includes(protocol)) {
      const connection = [[from.name, to.name].sort().join(' '), family, protocol].join(' ');
      round = (portless.get(connection) ?? 0) + 1;
      portless.set(connection, round);
    }
    (rounds[round] ??= []).push(index);
  }
  return rounds;
}

function outcomeOf({ reached, steps, rejected, astray }: Attempt): Outcome {
  if (astray.length > 0) return `wrong: ${astray.join(', ')}`;
  if (rejected) return reached < 0 ? 'reject' : `wrong: rejected after step ${reached}`;
  if (reached < 0) return 'deny';
  return reached === steps - 1 ? 'allow' : `wrong: went as far as step ${reached} of ${steps - 1}`;
}

export function endsOf({ from, to, family }: Probe): Ends {
  const end = ({ mac, addresses, name }: Station) => {
    const address = addresses.find((one) => one.family === family);
    if (address === undefined) throw new Error(`${name} has no IPv${family} address`);
    return { mac, address };
  };
  return { source: end(from), destination: end(to) };
}

/** The frames of a probe, sent in turn by its ends; `mark` is its source port. */
export function conversationOf(probe: Probe, number: number, mark: number): Conversation {
  const { protocol, port = 0, icmpType } = probe.service;
  const there = endsOf(probe);
  const back = reversed(there);
  const data = (step: number): Buffer => tag(number, step);
  const frames: Uint8Array[] = [];
  if (protocol === Protocol.tcp) {
    const size = data(0).length;
    const [client, server] = [number, 0x80000000 + number];
    const ours = { sourcePort: mark, destinationPort: port };
    const theirs = { sourcePort: port, destinationPort: mark };
    const { syn, ack, push } = TcpFlag;
    frames.push(
      tcpFrame(there, { ...ours, flags: syn, sequence: client, acknowledgement: 0, data: data(0) }),
      tcpFrame(back, {
        ...theirs,
        flags: syn | ack,
        sequence: server,
        acknowledgement: client + 1 + size,
        data: data(1),
      }),
      tcpFrame(there, {
        ...ours,
        flags: ack | push,
        sequence: client + 1 + size,
        acknowledgement: server + 1 + size,
        data: data(2),
      }),
      tcpFrame(back, {
        ...theirs,
        flags: ack | push,
        sequence: server + 1 + size,
        acknowledgement: client + 1 + 2 * size,
        data: data(3),
      }),
    );
  } else if (protocol === Protocol.udp) {
    frames.push(udpFrame(there, mark, port, data(0)), udpFrame(back, port, mark, data(1)));
  } else if (protocol === Protocol.sctp) {
    const [INIT, INIT_ACK] = [1, 2];
    frames.push(
      sctpFrame(there, { source: mark, destination: port, verificationTag: 0 }, INIT, data(0)),
      sctpFrame(back, { source: port, destination: mark, verificationTag: number }, INIT_ACK, data(1)),
    );
  } else if (protocol === Protocol.icmp || protocol === Protocol.icmpv6) {
    const request = icmpType ?? (protocol === Protocol.icmp ? 8 : 128);
    const identifier = mark * 65_536 + 1;
    frames.push(
      icmpFrame(there, request, 0, identifier, data(0)),
      icmpFrame(back, ICMP_ANSWERS[request] ?? request, 0, identifier, data(1)),
    );
  } else {
    frames.push(ipFrame(there, protocol, data(0)), ipFrame(back, protocol, data(1)));
  }
  return frames.map((frame, step) => [step % 2 === 0 ? probe.from.place : probe.to.place, frame]);
}

/** Echo, timestamp, and echo of ICMPv6. */
const ICMP_ANSWERS: Readonly<Record<number, number>> = { 8: 0, 13: 14, 128: 129 };

function sentinelOf({ from, to }: Pair, number: number): Conversation {
  const ip = (station: Station): number =>
    Number(station.addresses.find(({ family }) => family === 4)?.value ?? 0n);
  const REPLY = 2;
  return Array.from({ length: SENTINEL_STEPS }, (_, step) => {
    const [sender, receiver] = step % 2 === 0 ? [from, to] : [to, from];
    const frame = arpFrame(
      { source: sender.mac, destination: receiver.mac },
      {
        operation: REPLY,
        senderMac: sender.mac,
        senderIp: ip(sender),
        targetMac: receiver.mac,
        targetIp: ip(receiver),
      },
    );
    return [sender.place, Buffer.concat([frame, tag(number, step)])] as const;
  });
}

/** A TCP reset to, or an ICMP error about, the mark of an attempt, seen by whoever made it. */
function noteRejection(attempts: ReadonlyMap<number, Attempt>, place: number, frame: Buffer): void {
  const mark = rejectedMark(frame);
  if (mark === undefined) return;
  for (const attempt of attempts.values()) {
    if (attempt.mark !== mark.mark || attempt.probe.service.protocol !== mark.protocol) continue;
    if (attempt.probe.from.place === place) attempt.rejected = true;
    else attempt.astray.push(`its rejection at place ${place}`);
  }
}

function rejectedMark(frame: Buffer): { protocol: number; mark: number } | undefined {
  const ip = transportOf(frame, 14);
  if (ip === undefined) return undefined;
  if (ip.protocol === Protocol.tcp) {
    const reset = ((frame[ip.at + 13] ?? 0) & TcpFlag.rst) !== 0;
    return reset ? { protocol: ip.protocol, mark: frame.readUInt16BE(ip.at + 2) } : undefined;
  }
  const unreachable =
    (ip.protocol === Protocol.icmp && frame[ip.at] === 3) ||
    (ip.protocol === Protocol.icmpv6 && frame[ip.at] === 1);
  if (!unreachable) return undefined;
  const quoted = transportOf(frame, ip.at + 8);
  if (quoted === undefined) return undefined;
  const echo = quoted.protocol === Protocol.icmp || quoted.protocol === Protocol.icmpv6;
  return { protocol: quoted.protocol, mark: frame.readUInt16BE(quoted.at + (echo ? 4 : 0)) };
}

/** Where the payload of the IP packet at `at` begins, and of what protocol it is; undefined if it is cut off. */
function transportOf(frame: Buffer, at: number): { protocol: number; at: number } | undefined {
  const version = (frame[at] ?? 0) >> 4;
  const [header, protocolAt] = version === 4 ? [((frame[at] ?? 0) & 15) * 4, 9] : [40, 6];
  if ((version !== 4 && version !== 6) || frame.length < at + header + 8) return undefined;
  return { protocol: frame[at + protocolAt] ?? 0, at: at + header };
}
