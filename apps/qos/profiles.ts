/** Which profile an endpoint has: its own, else that of its first group by name that has one, else that of its network. */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { Collection, Context } from '../../controller/derive/index.js';
import type { EndpointFact, EndpointId, GroupFact, QosProfileFact } from '../../controller/model/facts.js';
import { type LocalEndpoint, placementsOf } from '../placement.js';
import { membershipsOf } from '../policy/membership.js';

/** An endpoint with its port and its profile; key: `<host>/<port>`. */
export interface ProfiledEndpoint extends Pick<LocalEndpoint, 'host' | 'port' | 'number'>, Profiled {}

interface Profiled {
  readonly profile: QosProfileFact;
  /** Its own, which stand over those of the profile. */
  readonly rates: NonNullable<EndpointFact['rates']>;
}

/** Of endpoints that have rates and no profile: nothing but their rates. */
const NO_PROFILE: QosProfileFact = {
  id: '',
  tenant: '',
  name: '',
  number: 0,
  sharing: 'endpoint',
  trust: false,
};

/** Endpoints that receive at a limited rate; key: `<host>/<port>`. */
export function ratedReceiversOf(declaration: AppDeclaration): Collection<true> {
  return declaration.shared('rated receivers', (d) =>
    d.derive('rated receivers', profiledEndpointsOf(d), (context, { profile, rates }, key) => {
      if (profile.in !== undefined || rates.in !== undefined) context.emit(key, true);
    }),
  );
}

export function profiledEndpointsOf(declaration: AppDeclaration): Collection<ProfiledEndpoint> {
  return declaration.shared('profiled endpoints', declareProfiledEndpoints);
}

function declareProfiledEndpoints(d: AppDeclaration): Collection<ProfiledEndpoint> {
  const { endpoints, networks, qosProfiles } = d.facts;
  const profileOfGroups = declareProfileOfGroups(d);
  const profiles = d.derive<EndpointFact, Profiled>('profiles', endpoints, (context, endpoint, id) => {
    const named = (name: string | undefined): QosProfileFact | undefined =>
      name === undefined ? undefined : context.get(qosProfiles, name);
    const profile =
      named(endpoint.qos) ??
      named(profileOfGroups(context, id)) ??
      named(context.get(networks, endpoint.network)?.qos);
    const { rates = {} } = endpoint;
    if (profile !== undefined) context.emit(id, { profile, rates });
    else if (rates.in !== undefined || rates.out !== undefined)
      context.emit(id, { profile: NO_PROFILE, rates });
  });
  const { localEndpoints } = placementsOf(d);
  return d.derive<LocalEndpoint, ProfiledEndpoint>(
    'profiled endpoints',
    localEndpoints,
    (context, { id, host, port, number }, key) => {
      const profiled = context.get(profiles, id);
      if (profiled !== undefined) context.emit(key, { host, port, number, ...profiled });
    },
  );
}

type Reader = Pick<Context<never>, 'get'>;

/** Of the first one by name that has one. */
function declareProfileOfGroups(d: AppDeclaration): (context: Reader, id: EndpointId) => string | undefined {
  const memberships = membershipsOf(d);
  const profiles = d.derive<GroupFact, string>(
    'profiles of groups',
    d.facts.groups,
    (context, { qos }, id) => {
      if (qos !== undefined) context.emit(id, qos);
    },
  );
  return (context, id) => {
    for (const group of context.get(memberships, id) ?? []) {
      const profile = context.get(profiles, group);
      if (profile !== undefined) return profile;
    }
    return undefined;
  };
}
