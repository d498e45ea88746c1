/** Receivers and routers of the overlay in the journal, so that a restart with unchanged members sends nothing. */
import type { Journal } from '../journal/journal.js';
import type { MulticastPlace, MulticastReceiverFact } from '../model/facts.js';
import type { Locus, Receiver, Receivers, Segment } from './receivers.js';
import { parseReceiver, parseRouter, type ReceiverRecord, serializeReceiver } from './records.js';
import type { Router, Routers } from './routers.js';

const RECEIVERS = 'receivers/';
const ROUTERS = 'routers/';

export class Remembered {
  readonly #journal: Pick<Journal, 'entries' | 'put' | 'delete'>;

  constructor(journal: Pick<Journal, 'entries' | 'put' | 'delete'>) {
    this.#journal = journal;
  }

  receiver(receiver: Receiver<MulticastPlace>): void {
    const { key, version, generation } = receiver;
    const record = {
      ...receiverFact(receiver),
      version,
      ...(generation === undefined ? {} : { generation }),
    };
    this.#journal.put(RECEIVERS + key, serializeReceiver(record));
  }

  receiverGone({ key }: Receiver<MulticastPlace>): void {
    this.#journal.delete(RECEIVERS + key);
  }

  router({ key, segment }: Router<MulticastPlace>): void {
    this.#journal.put(ROUTERS + key, { network: segment.id });
  }

  routerGone({ key }: Router<MulticastPlace>): void {
    this.#journal.delete(ROUTERS + key);
  }

  /**
   * Receivers that are still there, whose timers begin anew; the others are forgotten.
   * @param locate where such a receiver is now; undefined: not there any more
   */
  *restoreReceivers(
    receivers: Receivers<MulticastPlace>,
    locate: (record: ReceiverRecord) => Locus<MulticastPlace> | undefined,
    until: number,
  ): Iterable<Receiver<MulticastPlace>> {
    for (const [name, value] of this.#journal.entries(RECEIVERS)) {
      const record = parseReceiver(value);
      const locus = record && locate(record);
      const isHere =
        record !== undefined &&
        locus !== undefined &&
        RECEIVERS + receivers.keyOf(locus, record.group) === name;
      const receiver = isHere ? receivers.restore(locus, record, until) : undefined;
      if (receiver === undefined) {
        this.#journal.delete(name);
        continue;
      }
      if (receiver.groupNumber !== record?.groupNumber) this.receiver(receiver);
      yield receiver;
    }
  }

  /** The same of routers. @param locate undefined: the network has no routers any more */
  *restoreRouters(
    routers: Routers<MulticastPlace>,
    locate: (network: string) => Segment | undefined,
    until: number,
  ): Iterable<Router<MulticastPlace>> {
    for (const [name, value] of this.#journal.entries(ROUTERS)) {
      const record = parseRouter(value);
      const segment = record && locate(record.network);
      const locus = segment && { segment, place: { uplink: true } as const };
      if (locus === undefined || ROUTERS + routers.keyOf(locus) !== name) this.#journal.delete(name);
      else yield routers.restore(locus, until);
    }
  }
}

export function receiverFact({
  segment,
  group,
  groupNumber,
  place,
  filter,
}: Receiver<MulticastPlace>): MulticastReceiverFact {
  const sources = filter.wanted;
  return { network: segment.id, group, groupNumber, place, ...(sources === undefined ? {} : { sources }) };
}
