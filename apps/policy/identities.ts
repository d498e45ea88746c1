/**
 * Who is at the other end: an *identity* is a set of classes, and its number stands for it in entries of rules. Two tables translate
 * the addresses of a connection's first packet, in each network where somebody is judged: endpoints by their whole address, what is
 * no endpoint by the longest prefix that says something of it. Addresses in no class have no entry and no identity.
 */
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import type { Collection } from '../../controller/derive/index.js';
import type { EndpointFact, NetworkId, PrefixFact } from '../../controller/model/facts.js';
import { F, type Match, oxm } from '../../ofproto/index.js';
import { valid } from '../conntrack.js';
import { ipv4, ipv6 } from '../match.js';
import { R, T } from '../pipeline.js';
import { ipv6AddressesOf, networkScope } from '../placement.js';
import { hostPrefix, prefixMask, prefixText } from './addresses.js';
import {
  type ClassName,
  declareClasses,
  groupClass,
  type MentionedClass,
  networkClass,
  portClass,
  portMeaningClass,
} from './classes.js';
import { membershipsOf, tenantOf } from './membership.js';
import { NumberedSets } from './numbers.js';
import { declarePrefixes, type PrefixClasses } from './prefixes.js';
import { namedPortText, type Subjection, type Subjects } from './subjects.js';
import { bitsOf, type ClassBits, declareWideClasses } from './wide-classes.js';

/** Ascending; never empty. */
export type Identity = readonly ClassName[];

/** Where addresses have an identity, in one network. */
interface Identified {
  readonly networkNumber: number;
  readonly prefix: PrefixFact;
  /** Empty: those of an exception, which are in no class. */
  readonly classes: Identity;
}

/** Found by their classes, and by the names of their ports (`portClass`). */
export type Identities = NumberedSets<Identity>;

export interface DeclaredIdentities {
  readonly identities: Identities;
  readonly bits: ClassBits;
}

/** Where entries for endpoints stand, above those of prefixes, which stand by their length. */
const ENDPOINT = 1000;
const SHORTEST_PREFIX = 100;

export function identityText(identity: Identity): string {
  return identity.join('\n');
}

/** Declares identities and derives the entries of both tables. */
export function declareIdentities(d: AppDeclaration, subjects: Subjects): DeclaredIdentities {
  const mentioned = declareClasses(d, subjects);
  const addresses = declarePrefixes(d, mentioned);

  /** Networks in which somebody is judged; key: id. */
  const judged = d.derive<Subjection, number>(
    'judged networks',
    subjects.subjections,
    (context, { network, networkNumber }) => context.emit(network, networkNumber),
  );
  const judgedByTenant = d.index('judged networks by tenant', judged, (_, id) => [tenantOf(id)]);

  const classesOfEndpoint = declareEndpointClasses(d, mentioned);
  // Also of endpoints that are not attached: where one goes to work, the other hosts know who it is before it sends anything.
  const endpoints = d.derive<EndpointFact, Identified>(
    'endpoint addresses',
    d.facts.endpoints,
    (context, endpoint, id) => {
      const own = context.get(classesOfEndpoint, id);
      if (own === undefined) return;
      const networkNumber = context.get(judged, own.network);
      if (networkNumber === undefined) return;
      for (const address of [...endpoint.ipv4, ...ipv6AddressesOf(endpoint)]) {
        const prefix = hostPrefix(address);
        const { within } = addresses.classesOf(context, own.network, prefix);
        // What is true of the prefix around it needs no entry of its own.
        if (own.classes.every((name) => within.includes(name))) continue;
        const classes = [...new Set([...within, ...own.classes])].sort();
        context.emit(`${networkNumber} ${prefixText(prefix)}`, { networkNumber, prefix, classes });
      }
    },
  );
  const prefixes = d.derive<PrefixClasses, Identified>(
    'prefixes of networks',
    addresses.prefixes,
    (context, { tenant, prefix }) => {
      for (const [network, networkNumber] of context.values(judgedByTenant, tenant)) {
        const { within, around } = addresses.classesOf(context, network, prefix);
        if (identityText(within) === identityText(around)) continue;
        context.emit(`${networkNumber} ${prefixText(prefix)}`, { networkNumber, prefix, classes: within });
      }
    },
  );
  const sets = [endpoints, prefixes].map((identified, i) =>
    d.derive<Identified, Identity>(`identity sets ${i}`, identified, (context, { classes }) => {
      if (classes.length > 0) context.emit(identityText(classes), classes);
    }),
  );
  const identities = new NumberedSets(d, 'identities', sets, (classes) => classes.flatMap(foundBy));
  const bits = declareWideClasses(d, mentioned, identities);
  const declared: DeclaredIdentities = { identities, bits };

  d.entries('endpoint identities', endpoints, (context, identified) =>
    translate(context, identified, ENDPOINT, declared),
  );
  d.entries('prefix identities', prefixes, (context, identified) =>
    translate(context, identified, SHORTEST_PREFIX + identified.prefix.length, declared),
  );
  return declared;
}

/** An identity is found by its classes, and by the names of its ports whatever they mean. */
function foundBy(name: ClassName): readonly ClassName[] {
  return name.startsWith('p:') ? [name.slice(0, name.lastIndexOf('='))] : [name];
}

/** What an endpoint is in whatever its address. */
interface EndpointClasses {
  readonly network: NetworkId;
  readonly classes: Identity;
}

function declareEndpointClasses(
  d: AppDeclaration,
  mentioned: Collection<MentionedClass>,
): Collection<EndpointClasses> {
  const memberships = membershipsOf(d);
  return d.derive<EndpointFact, EndpointClasses>(
    'classes of endpoints',
    d.facts.endpoints,
    (context, { network, namedPorts = {} }, id) => {
      const tenant = tenantOf(network);
      const isMentioned = (name: ClassName): boolean => context.get(mentioned, name) !== undefined;
      const classes = [networkClass(network), ...(context.get(memberships, id) ?? []).map(groupClass)].filter(
        isMentioned,
      );
      for (const [portName, { protocol, port }] of Object.entries(namedPorts)) {
        const name = namedPortText(protocol, portName);
        if (isMentioned(portClass(tenant, name))) classes.push(portMeaningClass(tenant, name, port));
      }
      context.emit(id, { network, classes: classes.sort() });
    },
  );
}

/** The entries of addresses in both tables. */
function translate(
  context: EntryContext,
  { networkNumber, prefix, classes }: Identified,
  priority: number,
  { identities, bits }: DeclaredIdentities,
): void {
  const wide = bitsOf(context, bits, classes);
  const number = classes.length === 0 ? 0 : identities.number(context, identityText(classes));
  if (number === undefined) return;
  for (const side of SIDES) {
    context.flow(networkScope({ number: networkNumber }), {
      table: side.table,
      priority,
      match: [R.network.match(networkNumber), ...valid, ...addressMatch(prefix, side)],
      ...(number === 0
        ? {}
        : { apply: [side.register.set(number), ...(wide === 0 ? [] : [side.classes.set(wide)])] }),
      goto: side.next,
      object: number,
    });
  }
}

const SIDES = [
  {
    table: T.source_identity,
    ipv4: F.ct_nw_src,
    ipv6: F.ct_ipv6_src,
    register: R.sourceIdentity,
    classes: R.sourceClasses,
    next: T.destination_identity,
  },
  {
    table: T.destination_identity,
    ipv4: F.ct_nw_dst,
    ipv6: F.ct_ipv6_dst,
    register: R.destinationIdentity,
    classes: R.destinationClasses,
    next: T.local_source,
  },
] as const;

/** Addresses of a prefix on one side of a connection. */
function addressMatch(prefix: PrefixFact, fields: (typeof SIDES)[number]): Match {
  const { family, address, length } = prefix;
  const mask = prefixMask(family, length);
  if (family === 4) {
    return length === 0 ? ipv4 : [...ipv4, oxm(fields.ipv4, address, Number(mask))];
  }
  return length === 0 ? ipv6 : [...ipv6, oxm(fields.ipv6, address, mask)];
}
