/**
 * Stations: on their own switch, at which port they may send and by which port they are reached; on all others, which switch that is.
 * What leads to a switch is none of their business, so no change of links touches their entries.
 */
import type { App, EntryContext } from '../../controller/datapath/app.js';
import { F, oxm } from '../../ofproto/index.js';
import { output } from '../actions.js';
import { inPort } from '../match.js';
import { MAC_GROUP_BIT } from '../protocols.js';
import { Priority, R, T } from './pipeline.js';
import { toController } from './punt.js';
import { fabricOf, switchScope } from './topology.js';

/** Why `station` drops; the object of the cookie. No station has these numbers. */
export const StationDrop = {
  /** The source address is one of a group. */
  groupSource: 0,
} as const;

export const stations: App = {
  name: 'fabric-stations',
  id: 65,
  declare(d) {
    const { always } = fabricOf(d);

    // Known stations first: the rules' numbers are in cookies.
    d.entries(
      { name: 'stations', object: 'station' },
      d.facts.stations,
      (context, { vlan, mac, number, datapathId, port }) => {
        const home = context.get(d.facts.hosts, datapathId);
        if (home === undefined) return;
        const scope = switchScope(datapathId);
        context.flow(scope, {
          table: T.station,
          priority: Priority.host,
          match: [...inPort(port), R.vlan.match(vlan), oxm(F.eth_src, mac)],
          goto: T.destination,
          object: number,
        });
        const toStation = [R.vlan.match(vlan), oxm(F.eth_dst, mac)];
        context.flow(scope, {
          table: T.destination,
          priority: Priority.host,
          match: toStation,
          apply: [output(port)],
          object: number,
        });
        context.flow('global', {
          table: T.destination,
          priority: Priority.shared,
          match: toStation,
          apply: [R.destination.set(home.number)],
          goto: T.path,
          object: number,
        });
      },
    );

    d.entries('unknown', always, (context: EntryContext) => {
      context.flow('global', {
        table: T.station,
        priority: Priority.forbid,
        match: [oxm(F.eth_src, MAC_GROUP_BIT, MAC_GROUP_BIT)],
        drop: true,
        object: StationDrop.groupSource,
      });
      context.flow('global', {
        table: T.station,
        priority: Priority.rest,
        match: [],
        apply: [toController('station', 'stations')],
      });
    });
  },
};
