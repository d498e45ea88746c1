/** All fields by name (`F`), by wire code and by any name that people write. */
import {
  ericssonFields,
  niciraExperimenterFields,
  nshFields,
  onfFields,
  packetRegisterFields,
} from './extensions.js';
import { type Field, OxmClass } from './field.js';
import { niciraFields } from './nicira.js';
import { nxmFields } from './nxm.js';
import { openflowBasicFields } from './openflow-basic.js';

/** Every field this library knows, by name: `F.eth_dst` is a `Field<number>`, `F.ipv6_src` a `Field<bigint>`. */
export const F = {
  ...openflowBasicFields,
  ...niciraFields,
  ...nxmFields,
  ...packetRegisterFields,
  ...ericssonFields,
  ...onfFields,
  ...niciraExperimenterFields,
  ...nshFields,
} as const;

/** Names of the fields in `F`. */
export type FieldName = keyof typeof F;

const ALL_FIELDS: readonly Field[] = Object.values(F);

function byNumber(oxmClass: number): readonly (Field | undefined)[] {
  const table: (Field | undefined)[] = Array.from({ length: 128 });
  for (const field of ALL_FIELDS) if (field.class === oxmClass) table[field.number] = field;
  return table;
}

const BASIC = byNumber(OxmClass.OPENFLOW_BASIC);
const NXM_1 = byNumber(OxmClass.NXM_1);
const NXM_0 = byNumber(OxmClass.NXM_0);
const PACKET_REGISTERS = byNumber(OxmClass.PACKET_REGISTERS);
const ERICSSON = byNumber(OxmClass.ERICSSON);
const EXPERIMENTERS = new Map<number, Map<number, Field>>();
for (const field of ALL_FIELDS) {
  if (field.experimenter === undefined) continue;
  const fields = EXPERIMENTERS.get(field.experimenter) ?? new Map<number, Field>();
  EXPERIMENTERS.set(field.experimenter, fields.set(field.number, field));
}

/** The field of a class without experimenter id, or undefined where the library does not know it. */
export function fieldByCode(oxmClass: number, number: number): Field | undefined {
  switch (oxmClass) {
    case OxmClass.OPENFLOW_BASIC:
      return BASIC[number];
    case OxmClass.NXM_1:
      return NXM_1[number];
    case OxmClass.NXM_0:
      return NXM_0[number];
    case OxmClass.PACKET_REGISTERS:
      return PACKET_REGISTERS[number];
    case OxmClass.ERICSSON:
      return ERICSSON[number];
    default:
      return undefined;
  }
}

/** The field of an experimenter, or undefined where the library does not know it. */
export function experimenterField(experimenter: number, number: number): Field | undefined {
  return EXPERIMENTERS.get(experimenter)?.get(number);
}

const BY_NAME = new Map<string, Field>();
// The specification's fields come first in F, so a name shared with an NXM_ field means the OXM one.
for (const field of ALL_FIELDS) {
  for (const name of [field.name, field.ovsName, field.wireName]) {
    if (!BY_NAME.has(name)) BY_NAME.set(name, field);
  }
}
const SYNONYMS: Readonly<Record<string, FieldName>> = {
  dl_dst: 'eth_dst',
  dl_src: 'eth_src',
  dl_type: 'eth_type',
  dl_vlan_pcp: 'vlan_pcp',
  nw_src: 'ipv4_src',
  nw_dst: 'ipv4_dst',
  nw_frag: 'ip_frag',
  tun_ipv4_src: 'tun_src',
  tun_ipv4_dst: 'tun_dst',
  in_port_oxm: 'in_port',
};

/**
 * The field of a name: that of the specification (`ipv4_src`), of ovs-ofctl (`ip_src`, `nw_src`) or of the wire
 * (`OXM_OF_IPV4_SRC`, `NXM_NX_REG0`). Undefined where there is none.
 */
export function fieldByName(name: string): Field | undefined {
  const synonym = SYNONYMS[name];
  return BY_NAME.get(name) ?? (synonym === undefined ? undefined : F[synonym]);
}
