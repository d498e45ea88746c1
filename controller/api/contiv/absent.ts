/** Kinds of contiv that have no counterpart: there are none, and POST says why. */
import { Refusal } from './answers.js';
import { AnyBody } from './schemas.js';
import type { ContivKind } from './types.js';

interface Absent {
  readonly collection: string;
  readonly word: string;
  readonly keyMembers: readonly string[];
  readonly reason: string;
  readonly fix: string;
}

const ABSENT: readonly Absent[] = [
  {
    collection: 'serviceLBs',
    word: 'serviceLB',
    keyMembers: ['tenantName', 'serviceName'],
    reason: 'there are no services: nothing distributes connections to an address over several endpoints',
    fix: 'connect to endpoints by their own addresses',
  },
  {
    collection: 'Bgps',
    word: 'Bgp',
    keyMembers: ['hostname'],
    reason: 'endpoints are not announced to routers: networks are bridged, there is no routing mode',
    fix: 'give networks a gateway, and let a router have its address',
  },
  {
    collection: 'aciGws',
    word: 'aciGw',
    keyMembers: ['name'],
    reason: 'nothing speaks to an ACI fabric',
    fix: 'use VLAN networks, whose tags the fabric carries, and policies',
  },
  {
    collection: 'appProfiles',
    word: 'appProfile',
    keyMembers: ['tenantName', 'appProfileName'],
    reason: 'application profiles are for ACI; groups and policies hold without',
    fix: 'leave them out',
  },
  {
    collection: 'extContractsGroups',
    word: 'extContractsGroup',
    keyMembers: ['tenantName', 'contractsGroupName'],
    reason: 'there are no contracts of ACI',
    fix: 'write rules with addresses',
  },
];

export const ABSENT_KINDS: readonly ContivKind[] = ABSENT.map(({ reason, fix, ...kind }) => ({
  ...kind,
  schema: AnyBody,
  list: () => [],
  get: () => undefined,
  intents: () => {
    throw new Refusal('kind', `a ${kind.word} has no counterpart: ${reason}`, fix);
  },
  refs: () => [],
  operational: () => ({}),
}));
