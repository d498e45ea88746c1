/**
 * Which classes an address is in because of where it lies: address sets, blocks and subnets of networks, less their exceptions.
 *
 * All prefixes that the classes of a tenant begin or end at are kept by themselves, so an address finds its classes by looking up the
 * prefixes it lies in, one for each length that the tenant uses; and so does a prefix. What changes with a class
 * is what lies in its prefixes.
 */
import type { AppDeclaration, EntryContext } from '../../controller/datapath/app.js';
import type { Collection, Context, Index } from '../../controller/derive/index.js';
import type { AddressBlock, NetworkFact, NetworkId, PrefixFact } from '../../controller/model/facts.js';
import { aggregate, hostPrefix, overlaps, prefixText, shortened } from './addresses.js';
import type { ClassName, MentionedClass } from './classes.js';
import { networkClass } from './classes.js';
import { tenantOf } from './membership.js';

/** A class begins or has an exception at a prefix. */
interface Boundary {
  readonly tenant: string;
  readonly prefix: PrefixFact;
  readonly class: ClassName;
  readonly except: boolean;
}

/** A prefix at which something begins or ends; key: tenant and prefix. */
export interface PrefixClasses {
  readonly tenant: string;
  readonly prefix: PrefixFact;
  /** Classes that have it among their prefixes, and among their exceptions. */
  readonly within: readonly ClassName[];
  readonly except: readonly ClassName[];
}

type Reader = Pick<Context<never> | EntryContext, 'get' | 'keys'>;

/** Classes by place of the addresses of one network. */
export interface AddressClasses {
  readonly prefixes: Collection<PrefixClasses>;
  /** Classes of all addresses of a prefix that are in no longer one, and those of what is around it. Ascending. */
  classesOf(
    context: Reader,
    network: NetworkId,
    prefix: PrefixFact,
  ): { readonly within: readonly ClassName[]; readonly around: readonly ClassName[] };
}

export function declarePrefixes(d: AppDeclaration, classes: Collection<MentionedClass>): AddressClasses {
  const boundaries = d.derive<MentionedClass, Boundary>('boundaries', classes, (context, mentioned, name) => {
    const found = blockOf(d, context, mentioned);
    if (found === undefined) return;
    const emit = (prefix: PrefixFact, except: boolean): void =>
      context.emit(`${prefixKey(found.tenant, prefix)} ${except ? 'except' : 'within'} ${name}`, {
        tenant: found.tenant,
        prefix,
        class: name,
        except,
      });
    for (const prefix of aggregate(found.block.prefixes)) emit(prefix, false);
    for (const prefix of aggregate(found.block.except)) emit(prefix, true);
  });
  const boundariesByPrefix = d.index('boundaries by prefix', boundaries, ({ tenant, prefix }) => [
    prefixKey(tenant, prefix),
  ]);
  const places = d.derive<Boundary, Pick<Boundary, 'tenant' | 'prefix'>>(
    'places',
    boundaries,
    (context, { tenant, prefix }) => context.emit(prefixKey(tenant, prefix), { tenant, prefix }),
  );
  const prefixes = d.derive<Pick<Boundary, 'tenant' | 'prefix'>, PrefixClasses>(
    'prefixes',
    places,
    (context, place, key) => {
      const here = context.values(boundariesByPrefix, key).map(([, boundary]) => boundary);
      const names = (except: boolean) =>
        here.filter((boundary) => boundary.except === except).map((boundary) => boundary.class);
      context.emit(key, { ...place, within: names(false), except: names(true) });
    },
  );
  const lengths = d.derive<Pick<Boundary, 'tenant' | 'prefix'>, { readonly family: string }>(
    'lengths',
    places,
    (context, { tenant, prefix: { family, length } }) =>
      context.emit(`${tenant} ${family} ${String(length).padStart(3, '0')}`, {
        family: `${tenant} ${family}`,
      }),
  );
  const lengthsByFamily = d.index('lengths by family', lengths, ({ family }) => [family]);

  return {
    prefixes,
    classesOf(context, network, prefix) {
      const tenant = tenantOf(network);
      const within = new Set<ClassName>();
      const except = new Set<ClassName>();
      const sum = (): ClassName[] => [...within].filter((name) => !except.has(name)).sort();
      let around: ClassName[] = [];
      for (const length of usedLengths(context, lengthsByFamily, tenant, prefix)) {
        const found = context.get(prefixes, prefixKey(tenant, shortened(prefix, length)));
        if (found === undefined) continue;
        around = sum();
        for (const name of found.within) within.add(name);
        for (const name of found.except) except.add(name);
      }
      const inNetwork = (names: ClassName[]) => withoutOverlapping(d, context, network, names);
      return { within: inNetwork(sum()), around: inNetwork(around) };
    },
  };
}

/** Lengths of prefixes that the tenant uses, ascending, up to that of a prefix. */
function usedLengths(
  context: Reader,
  lengths: Index<{ readonly family: string }>,
  tenant: string,
  { family, length }: PrefixFact,
): number[] {
  return context
    .keys(lengths, `${tenant} ${family}`)
    .map((key) => Number(key.slice(-3)))
    .filter((used) => used <= length);
}

function prefixKey(tenant: string, prefix: PrefixFact): string {
  return `${tenant} ${prefixText(prefix)}`;
}

function blockOf(
  d: AppDeclaration,
  context: Pick<Context<never>, 'get'>,
  mentioned: MentionedClass,
): { readonly tenant: string; readonly block: AddressBlock } | undefined {
  switch (mentioned.kind) {
    case 'block':
      return mentioned;
    case 'addressSet': {
      const set = context.get(d.facts.addressSets, mentioned.id);
      return set === undefined ? undefined : { tenant: set.tenant, block: set };
    }
    case 'network': {
      const network = context.get(d.facts.networks, mentioned.id);
      return network === undefined
        ? undefined
        : { tenant: network.tenant, block: { prefixes: subnetsOf(network), except: [] } };
    }
    default:
      return undefined;
  }
}

export function subnetsOf({ ipv4, ipv6 }: Pick<NetworkFact, 'ipv4' | 'ipv6'>): readonly PrefixFact[] {
  return [
    ...(ipv4 === undefined ? [] : [shortened(hostPrefix(ipv4.address), ipv4.prefixLength)]),
    ...(ipv6 === undefined ? [] : [shortened(hostPrefix(ipv6.address), ipv6.prefixLength)]),
  ];
}

/**
 * In a network whose subnets overlap those of another (which are never routed to each other), an address is one of its own network and
 * not of the other.
 */
function withoutOverlapping(
  d: AppDeclaration,
  context: Reader,
  network: NetworkId,
  names: ClassName[],
): ClassName[] {
  const own = networkClass(network);
  const foreign = names.filter((name) => name.startsWith('n:') && name !== own);
  if (foreign.length === 0) return names;
  const here = context.get(d.facts.networks, network);
  const subnets = here === undefined ? [] : subnetsOf(here);
  const overlapping = new Set(
    foreign.filter((name) => {
      const other = context.get(d.facts.networks, name.slice(2));
      const others = other === undefined ? [] : subnetsOf(other);
      return subnets.some((a) => others.some((b) => overlaps(a, b)));
    }),
  );
  return names.filter((name) => !overlapping.has(name));
}
