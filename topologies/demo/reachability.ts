/**
 * Who reaches whom, by identity and not by address.
 *
 * Tenants have the same addresses, so an answer does not say who gave it. Every request carries a tag of its own (sender, receiver, round) in
 * its payload, and every member captures the requests that arrive: a member was reached when its own capture has the tag. That expected
 * requests are seen there also shows that the captures work.
 */
import { parallel, until } from '../lab/process.js';
import type { Capture, LabNamespace } from '../lab/index.js';

export interface Member {
  /** `<tenant>/<network>/<endpoint>`, or what else it is called. */
  readonly label: string;
  /** `<tenant>/<network>`: members of one network must reach each other, and nobody else. */
  readonly network: string;
  readonly host: string;
  readonly namespace: LabNamespace;
  readonly interface: string;
  /** IPv4 address without prefix length. */
  readonly address: string;
}

/**
 * | cell | wanted | seen |
 * | --- | --- | --- |
 * | `pending` | | not tried yet |
 * | `reached` | yes | request arrived, answer came back |
 * | `missing` | yes | no answer, or from somebody else |
 * | `apart` | no | nothing arrived |
 * | `leaked` | no | the request arrived |
 */
export type Cell = 'pending' | 'reached' | 'missing' | 'apart' | 'leaked';

export interface Pair {
  readonly from: Member;
  readonly to: Member;
  readonly wanted: boolean;
  readonly cell: Cell;
}

const PINGS_AT_ONCE = 32;
const PING_TIMEOUT_MS = 800;
/** What tcpdump may take to write a frame that has been delivered. */
const CAPTURE_DELAY_MS = 2_000;

export class Reachability {
  readonly members: Member[] = [];
  private readonly captures: Capture[] = [];
  private readonly cells = new Map<string, Cell>();
  private rounds = 0;

  /** Take a member in, and watch what arrives at it. */
  async add(member: Member): Promise<void> {
    const capture = await member.namespace.capture(member.interface, 'icmp[icmptype] == icmp-echo');
    this.members.push(member);
    this.captures.push(capture);
  }

  /** Every ordered pair, as of the last round. */
  pairs(): readonly Pair[] {
    return this.members.flatMap((from, sender) =>
      this.members.flatMap((to, receiver) => {
        if (from === to) return [];
        const cell = this.cells.get(`${sender} ${receiver}`) ?? 'pending';
        return [{ from, to, wanted: from.network === to.network, cell }];
      }),
    );
  }

  /** Whether everything that should be reached is, and nothing else. */
  get right(): boolean {
    return this.pairs().every(({ cell }) => cell === 'reached' || cell === 'apart');
  }

  /** Try every pair of the members that are here now. */
  async round(): Promise<void> {
    const round = (this.rounds = (this.rounds + 1) % 256);
    const count = this.members.length;
    const tries = Array.from({ length: count * count }, (_, index) => ({
      sender: Math.floor(index / count),
      receiver: index % count,
    })).filter(({ sender, receiver }) => sender !== receiver);
    const answered = await parallel(tries, PINGS_AT_ONCE, async ({ sender, receiver }) => {
      const [from, to] = [this.members[sender], this.members[receiver]];
      if (from === undefined || to === undefined) return false;
      const pattern = tagOf(round, sender, receiver).toString('hex');
      return (await from.namespace.ping(to.address, { timeoutMs: PING_TIMEOUT_MS, pattern })).ok;
    });
    const results = tries.map((pair, index) => ({ ...pair, answered: answered[index] === true }));
    const wanted = results.filter((result) => this.isWanted(result));
    // Once all answered requests are in the captures, anything that leaked before them is as well.
    await until(
      'the captures',
      () => wanted.every((result) => !result.answered || this.arrived(round, result)),
      CAPTURE_DELAY_MS,
    ).catch(() => {});
    for (const result of results) {
      const arrived = this.arrived(round, result);
      const right: Cell = arrived && result.answered ? 'reached' : 'missing';
      const wrong: Cell = arrived ? 'leaked' : 'apart';
      this.cells.set(`${result.sender} ${result.receiver}`, this.isWanted(result) ? right : wrong);
    }
  }

  private isWanted({ sender, receiver }: { sender: number; receiver: number }): boolean {
    return this.members[sender]?.network === this.members[receiver]?.network;
  }

  private arrived(round: number, { sender, receiver }: { sender: number; receiver: number }): boolean {
    const tag = tagOf(round, sender, receiver);
    const frames = this.captures[receiver]?.frames() ?? [];
    return frames.some((frame) => Buffer.from(frame.bytes).includes(tag));
  }
}

/** Eight bytes, which ping repeats to fill its payload. */
function tagOf(round: number, sender: number, receiver: number): Buffer {
  return Buffer.from([0x77, 0x65, 0x66, 0x74, 0x21, round, sender, receiver]);
}
