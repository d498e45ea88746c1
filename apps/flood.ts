/**
 * Flooding to the endpoints of this host. How copies reach other hosts is the business of `vlan` and `vxlan`.
 *
 * A receiver that admits not everything gets no copy by itself: its bucket sends the copy through `ingress_policy`, judged for it. One that
 * receives at a limited rate gets it through `qos_in`.
 */
import type { App } from '../controller/datapath/app.js';
import { GroupType } from '../ofproto/index.js';
import { bucket, group } from './actions.js';
import { copyTo, type ReceiverRules } from './copies.js';
import { localChunk, localChunkGroup } from './flood-layout.js';
import { Priority, R, T } from './pipeline.js';
import { hostScope, type LocalEndpoint, placementsOf } from './placement.js';
import { subjectsOf } from './policy/subjects.js';
import { ratedReceiversOf } from './qos/profiles.js';

/** Some of the ports of a network on a host; key: `<host>/<network>/<chunk>`. */
interface LocalChunk {
  readonly host: string;
  readonly network: number;
  readonly chunk: number;
}

export const flood: App = {
  name: 'flood',
  id: 8,
  declare(d) {
    const { localEndpoints } = placementsOf(d);
    const rules: ReceiverRules = { subjects: subjectsOf(d), rated: ratedReceiversOf(d) };
    const endpointsByChunk = d.index('endpoints by chunk', localEndpoints, ({ host, network, port }) => [
      `${host}/${network.number}/${localChunk(port)}`,
    ]);
    const chunks = d.derive<LocalEndpoint, LocalChunk>(
      'chunks',
      localEndpoints,
      (context, { host, network: { number: network }, port }) => {
        const chunk = localChunk(port);
        context.emit(`${host}/${network}/${chunk}`, { host, network, chunk });
      },
    );
    const chunksByNetwork = d.index('chunks by network', chunks, ({ host, network }) => [
      `${host}/${network}`,
    ]);
    const floods = d.derive<LocalChunk, Omit<LocalChunk, 'chunk'>>(
      'flooded networks',
      chunks,
      (context, { host, network }) => context.emit(`${host}/${network}`, { host, network }),
    );

    d.entries(
      { name: 'chunk groups', object: 'network' },
      chunks,
      (context, { host, network, chunk }, key) => {
        const receivers = [...context.values(endpointsByChunk, key)];
        context.group(hostScope(host), {
          id: localChunkGroup(network, chunk),
          groupType: GroupType.ALL,
          buckets: receivers
            .sort(([, a], [, b]) => a.port - b.port)
            .map(([, receiver]) => bucket(...copyTo(context, rules, receiver))),
          object: network,
        });
      },
    );

    d.entries({ name: 'flooding', object: 'network' }, floods, (context, { host, network }, key) => {
      const present = context.values(chunksByNetwork, key).map(([, { chunk }]) => chunk);
      context.flow(hostScope(host), {
        table: T.flood_local,
        priority: Priority.host,
        match: [R.network.match(network)],
        // A port never gets its own frame back: the switch does not send to the port a packet came from.
        apply: present.sort((a, b) => a - b).map((chunk) => group(localChunkGroup(network, chunk))),
        object: network,
      });
    });
  },
};
