/** Takes the packets that policy sends to the controller: tells of them, and answers those that a rule rejects. */
import type { PacketInMessage, SwitchSession } from '../channel/index.js';
import { TokenBucket } from '../channel/token-bucket.js';
import type { Logger } from '../log.js';
import type { MetricFamily } from '../metrics.js';
import { type AnswerKind, answerTo, type NoAnswer } from './answer.js';
import { describePacket, type PuntedPacket } from './event.js';
import { PacketFeed } from './feed.js';
import { injection } from './inject.js';
import { type PuntLookUp, puntedPacket } from './punt-of.js';
import type { PacketEvent } from './types.js';

export interface PuntsOptions extends PuntLookUp {
  readonly logger: Logger;
  readonly publish: (event: PacketEvent) => void;
  /** That many packets are in no event, because too many came at once. */
  readonly lost: (packets: number) => void;
  /** Milliseconds of a clock that does not jump, for rates. Default: `performance.now`. */
  readonly now?: () => number;
}

/** What of a session is needed here. */
export type PuntingSwitch = Pick<SwitchSession, 'datapathId' | 'ports' | 'open' | 'xid' | 'send'>;

/**
 * Answers per second and switch. Above what the meter of rejected packets lets through, so that it is the bound only where a switch
 * has no such meter.
 */
const ANSWER_RATE = { perSecond: 200, burst: 200 };

/**
 * Packets looked at per second, of all switches together: a tenth of what one core can do. A thousand switches at the limits of their meters
 * send more, and what the controller is for must not wait for it.
 */
const TOTAL_RATE = { perSecond: 5_000, burst: 5_000 };

type Outcome = AnswerKind | NoAnswer | 'over-rate' | 'disconnected';

export class Punts {
  readonly #options: PuntsOptions;
  readonly #feed: PacketFeed;
  readonly #now: () => number;
  readonly #totalRate: TokenBucket;
  readonly #answerRates = new WeakMap<PuntingSwitch, TokenBucket>();
  readonly #packets = { allow: 0, deny: 0, reject: 0 };
  readonly #outcomes = new Map<Outcome, number>();
  #lost = 0;

  constructor(options: PuntsOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#totalRate = new TokenBucket(TOTAL_RATE, this.#now());
    this.#feed = new PacketFeed({
      publish: (event) => {
        options.logger.debug({ event: 'policy.packet', packet: event }, 'a packet that policy tells of');
        options.publish(event);
      },
      lost: (packets) => {
        this.#lost += packets;
        options.lost(packets);
      },
    });
  }

  /** Packet-ins that are not policy's are left to others. */
  packetIn(session: PuntingSwitch, message: PacketInMessage): void {
    const punted = puntedPacket(session, message, this.#options);
    if (punted === undefined) return;
    this.#packets[punted.verdict]++;
    if (!this.#totalRate.take(this.#now())) {
      if (punted.verdict === 'reject') this.#count('over-rate');
      this.#feed.lose(1);
      return;
    }
    if (punted.verdict === 'reject') this.#count(this.#answer(session, punted));
    this.#feed.add(describePacket(punted, this.#options.names, Date.now()));
  }

  metrics(): MetricFamily[] {
    return [
      {
        name: 'weft_policy_packets_total',
        help: 'Packets that switches sent to the controller because a policy logs or rejects them.',
        type: 'counter',
        labels: ['verdict'],
        samples: Object.entries(this.#packets).map(([verdict, value]) => ({ labels: { verdict }, value })),
      },
      {
        name: 'weft_policy_answers_total',
        help: 'Rejected packets by what they were answered with, or why they were not.',
        type: 'counter',
        labels: ['answer'],
        samples: [...this.#outcomes].map(([answer, value]) => ({ labels: { answer }, value })),
      },
      {
        name: 'weft_policy_packets_untold_total',
        help: 'Packets of policy that are in no event, because too many came at once.',
        type: 'counter',
        samples: [{ value: this.#lost }],
      },
    ];
  }

  close(): void {
    this.#feed.close();
  }

  #answer(session: PuntingSwitch, { frame, metadata }: PuntedPacket): Outcome {
    const answer = answerTo(frame);
    if (answer.kind === 'none') return answer.why;
    if (!session.open) return 'disconnected';
    if (!this.#answerRate(session).take(this.#now())) return 'over-rate';
    session.send(injection(session.xid(), answer.frame, metadata));
    return answer.kind;
  }

  #answerRate(session: PuntingSwitch): TokenBucket {
    const known = this.#answerRates.get(session);
    if (known !== undefined) return known;
    const bucket = new TokenBucket(ANSWER_RATE, this.#now());
    this.#answerRates.set(session, bucket);
    return bucket;
  }

  #count(outcome: Outcome): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }
}
