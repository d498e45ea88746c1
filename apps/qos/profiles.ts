/** Which profile an endpoint has: its own, else that of its first group by name that has one, else that of its network. */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { Collection, Context } from '../../controller/derive/index.js';
import type { EndpointFact, QosProfileFact } from '../../controller/model/facts.js';
import { type LocalEndpoint, placementsOf } from '../placement.js';

/** An endpoint with its port and its profile; key: `<host>/<port>`. */
export interface ProfiledEndpoint extends Pick<LocalEndpoint, 'host' | 'port' | 'number'> {
  readonly profile: QosProfileFact;
}

export function profiledEndpointsOf(declaration: AppDeclaration): Collection<ProfiledEndpoint> {
  return declaration.shared('profiled endpoints', declareProfiledEndpoints);
}

function declareProfiledEndpoints(d: AppDeclaration): Collection<ProfiledEndpoint> {
  const { endpoints, networks, qosProfiles } = d.facts;
  const profileOfGroups = declareProfileOfGroups(d);
  const profiles = d.derive<EndpointFact, QosProfileFact>('profiles', endpoints, (context, endpoint, id) => {
    const named = (name: string | undefined): QosProfileFact | undefined =>
      name === undefined ? undefined : context.get(qosProfiles, name);
    const profile =
      named(endpoint.qos) ??
      named(profileOfGroups(context, endpoint, id)) ??
      named(context.get(networks, endpoint.network)?.qos);
    if (profile !== undefined) context.emit(id, profile);
  });
  const { localEndpoints } = placementsOf(d);
  return d.derive<LocalEndpoint, ProfiledEndpoint>(
    'profiled endpoints',
    localEndpoints,
    (context, { id, host, port, number }, key) => {
      const profile = context.get(profiles, id);
      if (profile !== undefined) context.emit(key, { host, port, number, profile });
    },
  );
}

/** Id of the profile that an endpoint has by its groups. */
type ProfileOfGroups = (
  context: Pick<Context<never>, 'get' | 'values'>,
  endpoint: EndpointFact,
  id: string,
) => string | undefined;

/** Groups that the endpoint names itself. */
function declareProfileOfGroups(d: AppDeclaration): ProfileOfGroups {
  return (context, endpoint) => {
    const groups = [...(endpoint.groups ?? [])].sort();
    return groups.map((id) => context.get(d.facts.groups, id)?.qos).find((qos) => qos !== undefined);
  };
}
