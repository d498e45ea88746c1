/**
 * Queues on the uplinks: which a host needs follows from the profiles of its endpoints. Entries say which queue a packet goes into
 * (`set_queue`, ovs-actions(7)), and on the kernel datapath that is all. The userspace datapath cannot hand a queue to the device, so
 * there the agent chooses queues by the marks that profiles give. So that nobody gives himself a mark that is worth something, endpoints
 * without a profile have none on hosts with queues.
 */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { QueueSpec } from '../../controller/datapath/entry.js';
import type { Collection } from '../../controller/derive/index.js';
import type { QosProfileFact } from '../../controller/model/facts.js';
import { F } from '../../ofproto/index.js';
import { setField } from '../actions.js';
import { ipv4, ipv6 } from '../match.js';
import { Origin, Priority, R, T } from '../pipeline.js';
import { hostScope } from '../placement.js';
import type { ProfiledEndpoint } from './profiles.js';

/** What a profile asks for on a host; key: `<host>/<queue>/<number of profile>`. */
interface Claim extends Pick<QosProfileFact, 'dscp' | 'guaranteedKilobitsPerSecond'> {
  readonly host: string;
  readonly queue: number;
}

export function declareQueues(d: AppDeclaration, profiled: Collection<ProfiledEndpoint>): void {
  const claims = d.derive<ProfiledEndpoint, Claim>('queue claims', profiled, (context, { host, profile }) => {
    const { queue, dscp, guaranteedKilobitsPerSecond, number } = profile;
    if (queue === undefined) return;
    context.emit(`${host}/${queue}/${number}`, {
      host,
      queue,
      ...(dscp === undefined ? {} : { dscp }),
      ...(guaranteedKilobitsPerSecond === undefined ? {} : { guaranteedKilobitsPerSecond }),
    });
  });
  const bucket = ({ host, queue }: Claim): string => `${host}/${queue}`;
  const claimsByQueue = d.index('claims by queue', claims, (claim) => [bucket(claim)]);
  const queues = d.derive<Claim, Pick<Claim, 'host' | 'queue'>>(
    'claimed queues',
    claims,
    (context, claim) => {
      const { host, queue } = claim;
      context.emit(bucket(claim), { host, queue });
    },
  );
  d.entries('queues', queues, (context, { host, queue }, key) => {
    const all = context.values(claimsByQueue, key).map(([, claim]) => claim);
    context.queue(host, merge(queue, all));
  });
  const queueing = d.derive<Claim, string>('hosts with queues', claims, (context, { host }) => {
    context.emit(host, host);
  });
  d.entries('marks of others', queueing, (context, host) => {
    for (const family of [ipv4, ipv6]) {
      context.flow(hostScope(host), {
        table: T.qos_out,
        priority: Priority.shared,
        match: [R.origin.match(Origin.local), ...family],
        apply: [setField(F.ip_dscp, 0)],
        goto: T.forward,
      });
    }
  });
}

/** The largest guarantee holds for all of them. The mark of everything else (0) tells nothing. */
function merge(queue: number, claims: readonly Claim[]): QueueSpec {
  const guarantees = claims.flatMap(({ guaranteedKilobitsPerSecond: rate }) => rate ?? []);
  const marks = claims.flatMap(({ dscp }) => (dscp === undefined || dscp === 0 ? [] : dscp));
  return {
    queue,
    ...(guarantees.length === 0 ? {} : { guaranteedKilobitsPerSecond: Math.max(...guarantees) }),
    marks: [...new Set(marks)].sort((a, b) => a - b),
  };
}
