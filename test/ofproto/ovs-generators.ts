/**
 * Matches, flows, groups and meters as Open vSwitch takes them: only fields it implements, each with its prerequisites,
 * values within their masks.
 */
import { F, type Field, fieldByName, type Match, type Oxm, type OxmValue } from '../../ofproto/index.js';

/** Fields of the specification that Open vSwitch does not implement. */
const NOT_IMPLEMENTED: ReadonlySet<Field> = new Set<Field>([
  F.in_phy_port,
  F.pbb_isid,
  F.pbb_uca,
  F.ipv6_exthdr,
]);

/** The Geneve options need a mapping that ofp-parse does not have; a packet type excludes Ethernet. */
const isPlain = (field: Field): boolean => field.bytes > 0 && field !== F.packet_type;

export const ovsFields: readonly Field[] = (Object.values(F) as Field[]).filter(
  (field) => isPlain(field) && !NOT_IMPLEMENTED.has(field),
);

const and = (value: OxmValue, mask: OxmValue): OxmValue =>
  typeof value === 'bigint'
    ? value & (mask as bigint)
    : Number(BigInt(value as number) & BigInt(mask as number));

/** Values of fields that do not take every one of their bits. */
const VALUES: ReadonlyMap<Field, OxmValue> = new Map<Field, OxmValue>([
  [F.in_port, 5],
  [F.actset_output, 5],
  [F.vlan_vid, 0x1005],
  [F.nw_tos, 0xa4],
  [F.nsh_mdtype, 1],
]);

/** A value with some bits set, exact and, where the field can be masked, under a mask that is not a prefix. */
export function fieldSamples(field: Field): Oxm[] {
  const all = BigInt(field.exactMask as number | bigint);
  const of = (bits: bigint): OxmValue =>
    typeof field.exactMask === 'bigint' ? bits & all : Number(bits & all);
  const pattern = 0xa5a5_5a5a_c3c3_3c3c_a5a5_5a5a_c3c3_0005n;
  const exact = VALUES.get(field) ?? of(pattern);
  const samples: Oxm[] = [{ field, value: exact }];
  if (field.maskable) {
    const mask = of(0x7fff_ffff_0f0f_f0f0_ffff_0001_0003_0005n);
    samples.push({ field, value: and(exact, mask), mask });
  }
  return samples;
}

/** `+trk-inv`: Open vSwitch wants more than `+trk` before the fields of the original tuple. */
const TRACKED_AND_VALID = 0x30;

/** The entry after entries that let it be. */
export function withPrerequisites(entry: Oxm): Match {
  const needed = entry.field.prerequisites.map(({ field: name, values, mask }): Oxm => {
    const field = fieldByName(name) as Field;
    return { field, value: values[0] ?? 0, mask: field === F.ct_state ? TRACKED_AND_VALID : mask };
  });
  return [...needed, entry];
}
