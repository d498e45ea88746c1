/**
 * Ways to other switches: a select group over next hops at equal cost, fast failover where there is one next hop and a loop-free
 * alternate (RFC 5286), else the port itself. The switch sees by itself that a port is down and leaves it.
 */
import type { App, EntryContext } from '../../controller/datapath/app.js';
import { type Action, GroupType } from '../../ofproto/index.js';
import { group, output, portBucket } from '../actions.js';
import { inPort } from '../match.js';
import { pathGroup } from './groups.js';
import { Priority, R, T } from './pipeline.js';
import { type Route, routesTo } from './routes.js';
import { fabricOf, switchScope, TOPOLOGY } from './topology.js';

export const paths: App = {
  name: 'fabric-paths',
  id: 66,
  declare(d) {
    const { topology } = fabricOf(d);
    const routes = d.derive<{ readonly number: number }, Route>(
      'routes',
      d.facts.hosts,
      (context, { number }) => {
        const whole = context.get(topology, TOPOLOGY);
        if (whole === undefined) return;
        for (const route of routesTo(whole, number)) context.emit(`${route.datapathId}/${number}`, route);
      },
    );

    d.entries({ name: 'paths', object: 'host' }, routes, (context, route) => {
      const { datapathId, destination, alternates, level, nearer } = route;
      const put = (priority: number, port: number | undefined, apply: readonly Action[]): void => {
        context.flow(switchScope(datapathId), {
          table: T.path,
          priority,
          match: [R.destination.match(destination), ...(port === undefined ? [] : inPort(port))],
          ...(apply.length === 0 ? { drop: true } : { apply }),
          object: destination,
        });
      };
      put(Priority.host, undefined, hop(context, route));
      for (const port of nearer) put(Priority.hostException, port, []);
      if (alternates.length === 0) return;
      // It may come from the alternate: that one has lost its own next hop, and counts on this switch's.
      for (const port of level) put(Priority.hostException, port, primary(route));
    });
  },
};

const primary = ({ primaries }: Route): Action[] => primaries.slice(0, 1).map(output);

/** Sends by the best port that is up; makes the group where there is more than one. */
function hop(context: EntryContext, route: Route): Action[] {
  const { datapathId, destination, primaries, alternates } = route;
  const all = [...primaries, ...alternates];
  if (all.length === 1) return all.map(output);
  context.group(switchScope(datapathId), {
    id: pathGroup(destination),
    groupType: alternates.length === 0 ? GroupType.SELECT : GroupType.FAST_FAILOVER,
    buckets: all.map((port) => portBucket(port, alternates.length === 0 ? 1 : 0)),
    object: destination,
  });
  return [group(pathGroup(destination))];
}
