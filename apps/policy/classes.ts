/**
 * Classes: what the other side of a connection can be to a rule. A group, a network, an address set, a block of addresses, or an endpoint with
 * a port of some name. Only classes that a rule in force mentions are looked at: any other would tell addresses apart for
 * nobody's sake.
 */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { Collection } from '../../controller/derive/index.js';
import type {
  AddressBlock,
  NetworkId,
  Peer,
  RuleFact,
  TenantObjectId,
} from '../../controller/model/facts.js';
import { prefixText } from './addresses.js';
import { tenantOf } from './membership.js';
import { judgement, portNamesOf, type Subjects } from './subjects.js';

/** Text that names a class, the same wherever it is mentioned. */
export type ClassName = string;

/** A class that some rule mentions; key: its name. */
export type MentionedClass =
  | { readonly kind: 'group'; readonly id: TenantObjectId }
  | { readonly kind: 'network'; readonly id: NetworkId }
  | { readonly kind: 'addressSet'; readonly id: TenantObjectId }
  | { readonly kind: 'block'; readonly tenant: string; readonly block: AddressBlock }
  /** Endpoints that have a port of the name. */
  | { readonly kind: 'port'; readonly tenant: string; readonly name: string };

export function groupClass(id: TenantObjectId): ClassName {
  return `g:${id}`;
}

export function networkClass(id: NetworkId): ClassName {
  return `n:${id}`;
}

/** `name`: protocol and name, `6/http`. */
export function portClass(tenant: string, name: string): ClassName {
  return `p:${tenant}/${name}`;
}

/** The class of endpoints on which the name means this port. */
export function portMeaningClass(tenant: string, name: string, port: number): ClassName {
  return `${portClass(tenant, name)}=${port}`;
}

/** The port in a class made by `portMeaningClass` of the class `of`; undefined if it is another. */
export function portMeant(name: ClassName, of: ClassName): number | undefined {
  return name.startsWith(`${of}=`) ? Number(name.slice(of.length + 1)) : undefined;
}

/** As rules mention it: the class itself, and a port's meaning by its name. */
export function mentionedName(name: ClassName): ClassName {
  return name.startsWith('p:') ? name.slice(0, name.lastIndexOf('=')) : name;
}

export function peerClass(tenant: string, peer: Peer): ClassName {
  switch (peer.kind) {
    case 'group':
      return groupClass(peer.id);
    case 'network':
      return networkClass(peer.id);
    case 'addressSet':
      return `s:${peer.id}`;
    case 'block':
      return `b:${tenant} ${blockText(peer.block)}`;
  }
}

function blockText({ prefixes, except }: AddressBlock): string {
  const [within, without] = [prefixes, except].map((list) => list.map(prefixText).sort().join(' '));
  return without === '' ? `${within}` : `${within} - ${without}`;
}

/** A class that rules of a policy in one direction mention; key: `<judgement>` and name. */
export interface Mention {
  readonly judgement: string;
  readonly name: ClassName;
  readonly mentioned: MentionedClass;
}

export interface Classes {
  readonly mentions: Collection<Mention>;
  /** Key: the name. */
  readonly mentioned: Collection<MentionedClass>;
}

/** The classes that rules in force mention. */
export function declareClasses(d: AppDeclaration, { inForce }: Subjects): Classes {
  const mentions = d.derive<RuleFact, Mention>('mentions', d.facts.rules, (context, rule) => {
    const key = judgement(rule.direction, rule.policy);
    if (context.get(inForce, key) === undefined) return;
    const tenant = tenantOf(rule.policy);
    const emit = (name: ClassName, mentioned: MentionedClass): void =>
      context.emit(`${key}\n${name}`, { judgement: key, name, mentioned });
    for (const peer of [...rule.peers, ...(rule.groupAddresses ?? [])]) {
      const mentioned: MentionedClass =
        peer.kind === 'block' ? { ...peer, tenant, block: sortedBlock(peer.block) } : peer;
      emit(peerClass(tenant, peer), mentioned);
    }
    // Of direction `in` the name means what it means to the subject.
    if (rule.direction === 'in') return;
    for (const name of portNamesOf(rule)) emit(portClass(tenant, name), { kind: 'port', tenant, name });
  });
  const mentioned = d.derive<Mention, MentionedClass>('classes', mentions, (context, mention) =>
    context.emit(mention.name, mention.mentioned),
  );
  return { mentions, mentioned };
}

/** Equal blocks are equal values, in whatever order their prefixes are written. */
function sortedBlock({ prefixes, except }: AddressBlock): AddressBlock {
  const sorted = (list: AddressBlock['prefixes']) =>
    list
      .map((prefix) => [prefixText(prefix), prefix] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, prefix]) => prefix);
  return { prefixes: sorted(prefixes), except: sorted(except) };
}
