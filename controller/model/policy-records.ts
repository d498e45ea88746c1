/**
 * Records of policy and quality of service, to and from the members of their messages. Where an intent takes a number or a
 * word, the message has text.
 */
import { numberedPorts, numberOrText } from './canonical.js';
import type { QosProfileIntent, RuleIntent } from './intents.js';
import type { Fields, Records, Traits } from './records.js';

type PolicyTable = 'tier' | 'qosProfile' | 'addressSet' | 'policy' | 'rule' | 'group';

/** Undefined when there are none. */
export function traitsToFields(traits: Traits): Fields | undefined {
  const { labels, groups, ports, qos, rates } = traits;
  if ([labels, groups, ports, qos, rates].every((trait) => trait === undefined)) return undefined;
  return {
    labels,
    groups,
    qos,
    rates,
    ...(ports === undefined
      ? {}
      : {
          ports: Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
        }),
  };
}

export function traitsFromFields(fields: unknown): Traits {
  if (fields === undefined) return {};
  const { ports, ...rest } = fields as Fields;
  return {
    ...(rest as Traits),
    ...(ports === undefined ? {} : { ports: numberedPorts(ports as Record<string, string>) }),
  };
}

export const policyFields: { readonly [T in PolicyTable]: (record: Records[T]) => Fields } = {
  tier: ({ spec }) => ({ ...spec }),
  qosProfile: ({ number, spec }) => ({
    ...spec,
    number,
    ...(spec.dscp === undefined ? {} : { dscp: String(spec.dscp) }),
  }),
  addressSet: ({ number, spec }) => ({ ...spec, number }),
  policy: ({ number, spec }) => ({ ...spec, number }),
  rule: ({ number, position, spec }) => ({
    ...spec,
    number,
    position,
    ...(spec.protocol === undefined ? {} : { protocol: String(spec.protocol) }),
    ...(spec.ports === undefined ? {} : { ports: spec.ports.map(String) }),
  }),
  group: ({ number, spec }) => ({ ...spec, number }),
};

/** What every one of these messages has, and the rest of its members. */
function split({ schemaVersion: _, number, ...rest }: Fields): { number: number; rest: Fields } {
  return { number: number as number, rest };
}

function numbered<T extends Exclude<PolicyTable, 'tier' | 'rule'>>(kind: Records[T]['spec']['kind']) {
  return (fields: Fields): Records[T] => {
    const { number, rest } = split(fields);
    return { number, spec: { kind, ...rest } } as unknown as Records[T];
  };
}

export const policyRecords: { readonly [T in PolicyTable]: (fields: Fields) => Records[T] } = {
  tier: (fields) => ({ spec: { kind: 'Tier', ...split(fields).rest } as Records['tier']['spec'] }),
  qosProfile: (fields) => {
    const { number, rest } = split(fields);
    const spec = { kind: 'QosProfile', ...rest } as QosProfileIntent;
    return {
      number,
      spec: rest.dscp === undefined ? spec : { ...spec, dscp: numberOrText(rest.dscp as string) },
    };
  },
  addressSet: numbered<'addressSet'>('AddressSet'),
  policy: numbered<'policy'>('Policy'),
  rule: (fields) => {
    const { number, rest } = split(fields);
    const { position, protocol, ports, ...members } = rest;
    return {
      number,
      position: position as number,
      spec: {
        kind: 'Rule',
        ...members,
        ...(protocol === undefined ? {} : { protocol: numberOrText(protocol as string) }),
        ...(ports === undefined ? {} : { ports: (ports as string[]).map(numberOrText) }),
      } as RuleIntent,
    };
  },
  group: numbered<'group'>('Group'),
};
