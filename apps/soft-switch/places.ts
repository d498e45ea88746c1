/** Which hosts have a switch without OpenFlow, and which networks such hosts carry. */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { Collection } from '../../controller/derive/index.js';
import type { HostFact, SoftSwitch } from '../../controller/model/facts.js';
import { type Placement, placementsOf } from '../placement.js';

export interface SoftPlaces {
  /** By name of host. */
  readonly hosts: Collection<SoftSwitch>;
  /** Attached endpoints of such hosts; key: id of the endpoint. */
  readonly placements: Collection<Placement>;
  /** By number of network, while such a host carries it. */
  readonly networks: Collection<true>;
}

/** Declared once, whoever asks first. */
export function softPlacesOf(declaration: AppDeclaration): SoftPlaces {
  return declaration.shared('soft places', (d) => {
    const hosts = d.derive<HostFact, SoftSwitch>('soft hosts', d.facts.hosts, (context, host, name) => {
      if (host.softSwitch !== undefined) context.emit(name, host.softSwitch);
    });
    const placements = d.derive<Placement, Placement>(
      'soft placements',
      placementsOf(d).placements,
      (context, placement, id) => {
        if (context.get(hosts, placement.host) !== undefined) context.emit(id, placement);
      },
    );
    const networks = d.derive<Placement, true>('soft networks', placements, (context, { network }) =>
      context.emit(String(network.number), true),
    );
    return { hosts, placements, networks };
  });
}
