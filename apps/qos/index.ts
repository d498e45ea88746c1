/**
 * Quality of service at the edge: what each endpoint may send and receive, and with what mark (DSCP, RFC 2474).
 *
 * Rates are OpenFlow meters, which police: what is above the rate and its burst is dropped. They work on the kernel and on the userspace
 * datapath. A meter is changed in place, so a new rate costs one message a meter and no entry; its entries come after it and go before
 * it.
 *
 *     profiles.ts   which profile an endpoint has
 *     meters.ts     numbers of meters
 *     storms.ts     what one endpoint sends to many
 *     queues.ts     queues on the uplinks, made by agents
 */
import type { App, EntryContext } from '../../controller/datapath/app.js';
import type { DatapathId, QosProfileFact, RateLimit } from '../../controller/model/facts.js';
import { type Action, F, GroupType, type Match, MeterFlag } from '../../ofproto/index.js';
import { group, resubmit, selectBucket, setField } from '../actions.js';
import { RATED_RECEIVER_GROUP } from '../flood-layout.js';
import { inPort, ipv4, ipv6 } from '../match.js';
import { Priority, R, T } from '../pipeline.js';
import { hostScope, placementsOf } from '../placement.js';
import { type Direction, portMeter, sharedMeter, sharedSlot } from './meters.js';
import { type ProfiledEndpoint, profiledEndpointsOf } from './profiles.js';
import { declareQueues } from './queues.js';
import { declareStorms } from './storms.js';

const DIRECTIONS: readonly Direction[] = ['out', 'in'];
const KILOBITS = MeterFlag.KBPS | MeterFlag.BURST | MeterFlag.STATS;
const BEST_EFFORT = 0;

/** What entries need to know: not the rates, which change in the meters alone. Key: `<host>/<port>`. */
interface Treatment {
  readonly host: string;
  readonly port: number;
  readonly number: number;
  readonly meters: Readonly<Partial<Record<Direction, number>>>;
  /** Absent: the mark stays as it comes. */
  readonly dscp?: number;
  readonly queue?: number;
}

/** A profile that endpoints of one host share. Key: `<host>/<number of profile>`. */
interface Sharing {
  readonly host: string;
  readonly profile: QosProfileFact;
}

export const qos: App = {
  name: 'qos',
  id: 11,
  declare(d) {
    const { hosts, qosProfiles } = d.facts;
    const profiled = profiledEndpointsOf(d);
    const { always } = placementsOf(d);

    const sharedBySlot = d.index('shared profiles by slot', qosProfiles, (profile) =>
      profile.sharing === 'host' ? [String(sharedSlot(profile))] : [],
    );
    /** Shared profiles with meters of their own, by id: of those whose meters would have one number the first. */
    const numbered = d.derive<QosProfileFact, true>(
      'numbered profiles',
      qosProfiles,
      (context, profile, id) => {
        if (profile.sharing !== 'host') return;
        const rivals = context.values(sharedBySlot, String(sharedSlot(profile)));
        if (rivals.every(([, { number }]) => number >= profile.number)) context.emit(id, true);
      },
    );
    const sharings = d.derive<ProfiledEndpoint, Sharing>('sharings', profiled, (context, endpoint) => {
      const { host, profile } = endpoint;
      if (context.get(numbered, profile.id)) context.emit(`${host}/${profile.number}`, { host, profile });
    });
    const treatments = d.derive<ProfiledEndpoint, Treatment>(
      'treatments',
      profiled,
      (context, endpoint, key) => {
        const { host, port, number, profile } = endpoint;
        const shared = context.get(numbered, profile.id);
        context.emit(key, { host, port, number, ...treatmentOf(endpoint, shared) });
      },
    );

    d.entries('rates of ports', profiled, (context, { host, port, profile, rates }) => {
      const shared = context.get(numbered, profile.id);
      for (const direction of DIRECTIONS) {
        const limit = rates[direction] ?? (shared ? undefined : profile[direction]);
        rate(context, host, portMeter(port, direction), limit);
      }
      if (shared) return;
      const datapathId = context.get(hosts, host)?.datapathId;
      if (profile.sharing === 'host' && datapathId !== undefined)
        reportUnnumbered(context, datapathId, profile);
    });
    d.entries('shared rates', sharings, (context, { host, profile }) => {
      for (const direction of DIRECTIONS)
        rate(context, host, sharedMeter(profile, direction), profile[direction]);
    });
    d.entries({ name: 'sending', object: 'endpoint' }, treatments, sending);
    d.entries({ name: 'receiving', object: 'endpoint' }, treatments, receiving);
    declareStorms(d);
    declareQueues(d, profiled);
    d.entries('copies to rated receivers', always, copies);
  },
};

function treatmentOf(
  { profile, rates, port }: ProfiledEndpoint,
  shared: true | undefined,
): Pick<Treatment, 'meters' | 'dscp' | 'queue'> {
  const meters: Partial<Record<Direction, number>> = {};
  for (const direction of DIRECTIONS) {
    if (rates[direction] !== undefined) meters[direction] = portMeter(port, direction);
    else if (profile[direction] !== undefined) {
      meters[direction] = shared ? sharedMeter(profile, direction) : portMeter(port, direction);
    }
  }
  const dscp = profile.dscp ?? (profile.trust ? undefined : BEST_EFFORT);
  return {
    meters,
    ...(dscp === undefined ? {} : { dscp }),
    ...(profile.queue === undefined ? {} : { queue: profile.queue }),
  };
}

function rate(context: EntryContext, host: string, id: number, limit: RateLimit | undefined): void {
  if (limit === undefined) return;
  context.meter(hostScope(host), {
    id,
    flags: KILOBITS,
    bands: [{ type: 'drop', rate: limit.kilobitsPerSecond, burstSize: limit.burstKilobits }],
  });
}

/** What a port sends: one entry, and one for each family where packets are marked. */
function sending(context: EntryContext, { host, port, number, meters, dscp, queue }: Treatment): void {
  const enqueue: readonly Action[] = queue === undefined ? [] : [{ type: 'set_queue', queueId: queue }];
  const entry = (priority: number, family: Match, mark: readonly Action[]): void =>
    context.flow(hostScope(host), {
      table: T.qos_out,
      priority,
      match: [...inPort(port), ...family],
      ...(meters.out === undefined ? {} : { meter: meters.out }),
      apply: [...mark, ...enqueue],
      goto: T.forward,
      object: number,
    });
  // A trusted mark passes where those of endpoints without a profile are taken off.
  if (meters.out !== undefined || queue !== undefined || dscp === undefined) entry(Priority.host, [], []);
  if (dscp === undefined) return;
  for (const family of [ipv4, ipv6]) entry(Priority.hostException, family, [setField(F.ip_dscp, dscp)]);
}

function receiving(context: EntryContext, { host, port, number, meters }: Treatment): void {
  if (meters.in === undefined) return;
  context.flow(hostScope(host), {
    table: T.qos_in,
    priority: Priority.host,
    match: [R.outputPort.match(port)],
    meter: meters.in,
    goto: T.output,
    object: number,
  });
  context.flow(hostScope(host), {
    table: T.qos_in,
    priority: Priority.hostException,
    match: [R.outputPort.match(port), R.flooded.match(1)],
    apply: [R.flooded.set(0), group(RATED_RECEIVER_GROUP)],
    object: number,
  });
}

/**
 * What a meter drops is gone for all actions after it (the datapath's actions are one list), and the copies of a flooded packet are such
 * actions. Selecting by hash recirculates a copy, and what becomes of that is its own affair.
 */
function copies(context: EntryContext): void {
  context.group('global', {
    id: RATED_RECEIVER_GROUP,
    groupType: GroupType.SELECT,
    buckets: [selectBucket(resubmit(T.qos_in))],
  });
}

function reportUnnumbered(context: EntryContext, datapathId: DatapathId, { id }: QosProfileFact): void {
  context.report(datapathId, {
    code: 'qos.profile.unnumbered',
    subject: id,
    message: `the meters of QoS profile ${id} would have the numbers of another one's: each endpoint has its rates for itself, they are not shared`,
    fix: 'delete profiles with sharing: host that are of no use any more, and make it again',
  });
}
