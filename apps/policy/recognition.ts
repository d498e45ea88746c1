/**
 * Where endpoints are recognised besides their own network: a router outside, or the gateway of a VLAN, brings packets of one network of a
 * tenant into another, and rules there that name a group mean its members in all networks.
 *
 * A network recognises the members of those groups (and the owners of those names of ports) that rules mention by which somebody in it is
 * judged. An address that lies in a subnet of the network itself is one of its own; one that lies in subnets of several other
 * networks could be anybody's, and is nobody's.
 */
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import type { Collection, Context } from '../../controller/derive/index.js';
import type { NetworkFact, NetworkId, PrefixFact, TenantFact } from '../../controller/model/facts.js';
import { prefixText, shortened } from './addresses.js';
import { type ClassName, type Mention, mentionedName } from './classes.js';
import { tenantOf } from './membership.js';
import { subnetsOf } from './prefixes.js';
import {
  DIRECTIONS,
  judgement,
  type Subject,
  type Subjection,
  type Subjects,
  subjectText,
} from './subjects.js';

/** A network in which somebody is judged. */
export interface JudgedNetwork {
  readonly network: NetworkId;
  readonly networkNumber: number;
}

type Reader = Pick<Context<never> | EntryContext, 'get' | 'keys' | 'values'>;

export interface Recognition {
  /** Numbers of networks in which somebody is judged; key: id. */
  readonly judged: Collection<number>;
  /** Networks other than its own in which somebody is judged by rules that mention one of these classes. */
  recognisers(context: Reader, network: NetworkId, classes: readonly ClassName[]): readonly JudgedNetwork[];
  /** Networks of a tenant with a subnet that an address is in, ascending. */
  claimants(context: Reader, tenant: string, address: PrefixFact): readonly NetworkId[];
}

/** A subject that somebody in a network has. */
interface PlacedSubject extends JudgedNetwork {
  readonly subject: Subject;
}

/** A policy in one direction, where there are other networks to recognise somebody of. */
interface PlacedJudgement extends JudgedNetwork {
  readonly judgement: string;
}

interface Recognised extends JudgedNetwork {
  readonly name: ClassName;
}

export function declareRecognition(
  d: AppDeclaration,
  { subjections }: Subjects,
  mentions: Collection<Mention>,
): Recognition {
  const placed = d.derive<Subjection, PlacedSubject>(
    'subjects of networks',
    subjections,
    (context, { network, networkNumber, ...sides }) => {
      for (const direction of DIRECTIONS) {
        const subject = sides[direction];
        if (subject === undefined) continue;
        context.emit(`${network}\n${subjectText(subject)}`, { network, networkNumber, subject });
      }
    },
  );
  const judged = d.derive<PlacedSubject, number>(
    'judged networks',
    placed,
    (context, { network, networkNumber }) => context.emit(network, networkNumber),
  );

  /** A tenant with one network has nobody to recognise, and nothing of this costs it anything. */
  const divided = d.derive<TenantFact, true>('divided tenants', d.facts.tenants, (context, _, name) => {
    if (context.keys(d.facts.networksByTenant, name).length > 1) context.emit(name, true);
  });
  const judgements = d.derive<PlacedSubject, PlacedJudgement>(
    'judgements of networks',
    placed,
    (context, { network, networkNumber, subject }) => {
      if (context.get(divided, subject.tenant) === undefined) return;
      for (const policy of subject.policies) {
        const key = judgement(subject.direction, policy);
        context.emit(`${network}\n${key}`, { network, networkNumber, judgement: key });
      }
    },
  );
  const mentionsByJudgement = d.index('mentions by policy', mentions, (mention) => [mention.judgement]);
  const recognised = d.derive<PlacedJudgement, Recognised>(
    'recognised classes',
    judgements,
    (context, { network, networkNumber, judgement: key }) => {
      for (const [, { name, mentioned }] of context.values(mentionsByJudgement, key)) {
        // What an address tells by itself it tells everywhere (`prefixes.ts`).
        if (mentioned.kind !== 'group' && mentioned.kind !== 'port') continue;
        context.emit(`${network}\n${name}`, { network, networkNumber, name });
      }
    },
  );
  const recognisedByName = d.index('recognised classes by name', recognised, ({ name }) => [name]);

  const networksBySubnet = d.index('networks by subnet', d.facts.networks, (network) =>
    subnetsOf(network).map((subnet) => subnetKey(network.tenant, subnet)),
  );
  const lengths = d.derive<NetworkFact, { readonly family: string; readonly length: number }>(
    'lengths of subnets',
    d.facts.networks,
    (context, network) => {
      for (const { family, length } of subnetsOf(network)) {
        context.emit(`${network.tenant} ${family} ${length}`, {
          family: `${network.tenant} ${family}`,
          length,
        });
      }
    },
  );
  const lengthsByFamily = d.index('lengths of subnets by family', lengths, ({ family }) => [family]);

  return {
    judged,
    recognisers(context, network, classes) {
      if (context.get(divided, tenantOf(network)) === undefined) return [];
      const found = new Map<NetworkId, JudgedNetwork>();
      for (const name of classes) {
        for (const [, { network: there, networkNumber }] of context.values(
          recognisedByName,
          mentionedName(name),
        )) {
          if (there !== network) found.set(there, { network: there, networkNumber });
        }
      }
      return [...found.values()];
    },
    claimants(context, tenant, address) {
      const found = context
        .values(lengthsByFamily, `${tenant} ${address.family}`)
        .flatMap(([, { length }]) =>
          context.keys(networksBySubnet, subnetKey(tenant, shortened(address, length))),
        );
      return [...new Set(found)].sort();
    },
  };
}

function subnetKey(tenant: string, subnet: PrefixFact): string {
  return `${tenant} ${prefixText(subnet)}`;
}
