/** Kinds of objects as people name them on the command line. */
import type { Kind } from '../controller/model/intents.js';
import { CommandError, Exit } from './exit.js';

interface KindName {
  readonly kind: Kind;
  /** Collection of the HTTP API. */
  readonly collection: string;
  readonly names: readonly string[];
  /** What a name of it looks like. */
  readonly shape: string;
}

export const KIND_NAMES: readonly KindName[] = [
  { kind: 'Tenant', collection: 'tenants', names: ['tenants', 'tenant'], shape: 'TENANT' },
  { kind: 'Network', collection: 'networks', names: ['networks', 'network', 'net'], shape: 'TENANT/NETWORK' },
  {
    kind: 'Endpoint',
    collection: 'endpoints',
    names: ['endpoints', 'endpoint', 'ep'],
    shape: 'TENANT/NETWORK/ENDPOINT',
  },
  { kind: 'Host', collection: 'hosts', names: ['hosts', 'host'], shape: 'HOST' },
  {
    kind: 'HostBinding',
    collection: 'hostbindings',
    names: ['hostbindings', 'hostbinding', 'hb'],
    shape: 'TENANT/NETWORK/ENDPOINT',
  },
  { kind: 'Group', collection: 'groups', names: ['groups', 'group', 'grp'], shape: 'TENANT/GROUP' },
  { kind: 'Policy', collection: 'policies', names: ['policies', 'policy', 'pol'], shape: 'TENANT/POLICY' },
  { kind: 'Rule', collection: 'rules', names: ['rules', 'rule'], shape: 'TENANT/POLICY/RULE' },
  {
    kind: 'AddressSet',
    collection: 'addresssets',
    names: ['addresssets', 'addressset', 'as'],
    shape: 'TENANT/ADDRESSSET',
  },
  { kind: 'Tier', collection: 'tiers', names: ['tiers', 'tier'], shape: 'TIER' },
  {
    kind: 'QosProfile',
    collection: 'qosprofiles',
    names: ['qosprofiles', 'qosprofile', 'qos'],
    shape: 'TENANT/QOSPROFILE',
  },
];

/** @throws CommandError (usage) for a word that names no kind */
export function kindNamed(word: string): KindName {
  const found = KIND_NAMES.find(({ names }) => names.includes(word.toLowerCase()));
  if (found !== undefined) return found;
  const known = KIND_NAMES.map(({ names }) => names[0]).join(', ');
  throw new CommandError(Exit.usage, `there are no objects of kind "${word}"\n  fix: one of ${known}`, {
    code: 'usage.kind',
  });
}

/** The path of one object in the API. */
export function objectPath({ collection, shape }: KindName, name: string): string {
  const parts = name.split('/');
  if (parts.length !== shape.split('/').length || parts.includes('')) {
    throw new CommandError(Exit.usage, `"${name}" is not a name of ${collection}\n  fix: write ${shape}`, {
      code: 'usage.name',
    });
  }
  return `/v1/${collection}/${parts.map(encodeURIComponent).join('/')}`;
}

/** The long word for each kind, for help texts. */
export const KIND_WORDS: readonly string[] = KIND_NAMES.map(({ collection }) => collection);
