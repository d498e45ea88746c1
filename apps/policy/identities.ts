/**
 * Who is at the other end: an *identity* is a set of classes, and its number stands for it in entries of rules. Two tables translate
 * the addresses of a connection's first packet, in each network where somebody is judged: endpoints by their whole address, what is
 * no endpoint by the longest prefix that says something of it. Addresses in no class have no entry and no identity.
 *
 * An endpoint has its identity in its own network, and in those others that recognise it (`recognition.ts`).
 */
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import type { Collection, Context, Index } from '../../controller/derive/index.js';
import type { EndpointFact, NetworkId, PrefixFact } from '../../controller/model/facts.js';
import { F, type Match, oxm } from '../../ofproto/index.js';
import { valid } from '../conntrack.js';
import { ipv4, ipv6 } from '../match.js';
import { R, T } from '../pipeline.js';
import { ipv6AddressesOf, type Member, networkScope, placementsOf } from '../placement.js';
import { hostPrefix, prefixMask, prefixText } from './addresses.js';
import {
  type ClassName,
  declareClasses,
  groupClass,
  mentionedName,
  type MentionedClass,
  networkClass,
  portClass,
  portMeaningClass,
} from './classes.js';
import { membershipsOf, tenantOf } from './membership.js';
import { NumberedSets } from './numbers.js';
import { declarePrefixes, type PrefixClasses } from './prefixes.js';
import { declareRecognition, type JudgedNetwork } from './recognition.js';
import { namedPortText, type Subjects } from './subjects.js';
import { bitsOf, type ClassBits, declareWideClasses } from './wide-classes.js';

/** Ascending; never empty. */
export type Identity = readonly ClassName[];

/** Where addresses have an identity, in one network. */
interface Identified {
  readonly networkNumber: number;
  readonly prefix: PrefixFact;
  /** Empty: those of an exception, which are in no class. */
  readonly classes: Identity;
  /** Other networks that all have the address, so that it is nobody here; ascending. */
  readonly contested?: readonly NetworkId[];
}

/** Found by their classes, as rules mention them. */
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
  const { mentions, mentioned } = declareClasses(d, subjects);
  const addresses = declarePrefixes(d, mentioned);
  const { judged, recognisers, claimants } = declareRecognition(d, subjects, mentions);
  const judgedByTenant = d.index('judged networks by tenant', judged, (_, id) => [tenantOf(id)]);

  const classesOfEndpoint = declareEndpointClasses(d, mentioned);
  // Also of endpoints that are not attached: where one goes to work, the other hosts know who it is before it sends anything.
  const endpoints = d.derive<EndpointFact, Identified>(
    'endpoint addresses',
    d.facts.endpoints,
    (context, endpoint, id) => {
      const own = context.get(classesOfEndpoint, id);
      if (own === undefined) return;
      const places = recognisers(context, own.network, own.classes);
      const networkNumber = context.get(judged, own.network);
      if (networkNumber === undefined && places.length === 0) return;
      const identify = (place: JudgedNetwork, prefix: PrefixFact, of: Identity): void => {
        const { within } = addresses.classesOf(context, place.network, prefix);
        // What is true of the prefix around it needs no entry of its own.
        if (of.every((name) => within.includes(name))) return;
        const classes = [...new Set([...within, ...of])].sort();
        emitIdentified(context, { networkNumber: place.networkNumber, prefix, classes });
      };
      for (const address of [...endpoint.ipv4, ...ipv6AddressesOf(endpoint)]) {
        const prefix = hostPrefix(address);
        if (networkNumber !== undefined) {
          identify({ network: own.network, networkNumber }, prefix, own.classes);
        }
        if (places.length === 0) continue;
        const claiming = claimants(context, tenantOf(own.network), prefix);
        // A link-local address is nobody's beyond its link, so no network claims it.
        if (!claiming.includes(own.network)) continue;
        for (const place of places) {
          // There it is an address of that network's own.
          if (claiming.includes(place.network)) continue;
          if (claiming.length === 1) identify(place, prefix, own.beyond);
          else {
            const { networkNumber: number } = place;
            emitIdentified(context, { networkNumber: number, prefix, classes: [], contested: claiming });
          }
        }
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
        emitIdentified(context, { networkNumber, prefix, classes: within });
      }
    },
  );
  const sets = [endpoints, prefixes].map((identified, i) =>
    d.derive<Identified, Identity>(`identity sets ${i}`, identified, (context, { classes }) => {
      if (classes.length > 0) context.emit(identityText(classes), classes);
    }),
  );
  const identities = new NumberedSets(d, 'identities', sets, (classes) => classes.map(mentionedName));
  const bits = declareWideClasses(d, mentioned, identities);
  const declared: DeclaredIdentities = { identities, bits };

  const { members } = placementsOf(d);
  const membersByNetwork = d.index('members by network', members, ({ network }) => [String(network.number)]);
  d.entries('endpoint identities', endpoints, (context, identified) => {
    if (identified.contested === undefined) translate(context, identified, ENDPOINT, declared);
    else reportContested(context, identified, identified.contested, membersByNetwork);
  });
  d.entries('prefix identities', prefixes, (context, identified) =>
    translate(context, identified, SHORTEST_PREFIX + identified.prefix.length, declared),
  );
  return declared;
}

function emitIdentified(context: Context<Identified>, identified: Identified): void {
  context.emit(`${identified.networkNumber} ${prefixText(identified.prefix)}`, identified);
}

/** What an endpoint is in whatever its address. */
interface EndpointClasses {
  readonly network: NetworkId;
  readonly classes: Identity;
  /** What it is in other networks too: its own network is a matter of addresses there. */
  readonly beyond: Identity;
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
      const beyond = (context.get(memberships, id) ?? []).map(groupClass).filter(isMentioned);
      for (const [portName, { protocol, port }] of Object.entries(namedPorts)) {
        const name = namedPortText(protocol, portName);
        if (isMentioned(portClass(tenant, name))) beyond.push(portMeaningClass(tenant, name, port));
      }
      const classes = [networkClass(network)].filter(isMentioned).concat(beyond).sort();
      context.emit(id, { network, classes, beyond: beyond.sort() });
    },
  );
}

function reportContested(
  context: EntryContext,
  { networkNumber }: Identified,
  networks: readonly NetworkId[],
  membersByNetwork: Index<Member>,
): void {
  const subject = networks.join(' and ');
  for (const [, { datapathId }] of context.values(membersByNetwork, String(networkNumber))) {
    if (datapathId === undefined) continue;
    context.report(datapathId, {
      code: 'policy.address.contested',
      subject,
      message: `networks ${subject} have addresses in common: seen from another network these are in no group, and no rule about a group meets them`,
      fix: 'give the networks subnets of their own, or name the addresses in rules by an address set',
    });
  }
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
