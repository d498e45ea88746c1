/** Groups, ports and profile of an endpoint, as an intent or an agent says them. */
import {
  LABEL_KEY_PATTERN,
  LABEL_KEY_RULE,
  LABEL_VALUE_PATTERN,
  LABEL_VALUE_RULE,
  PORT_NAME_PATTERN,
  PORT_NAME_RULE,
} from '../intent-schema.js';
import { parseNamedPort } from '../services.js';
import type { State } from '../state.js';
import type { Traits } from '../records.js';

export interface TraitRefusal {
  /** `groups[1]`, `ports.http` or `qos`. */
  readonly member: string;
  readonly code: string;
  readonly message: string;
  readonly fix: string;
  /** What was named and is not there. */
  readonly unknown?: { readonly table: 'group' | 'qosProfile'; readonly id: string };
}

export function refusedTraits(state: State, tenant: string, { groups, ports, qos }: Traits): TraitRefusal[] {
  const refusals: TraitRefusal[] = [];
  const check = (member: string, table: 'group' | 'qosProfile', name: string) => {
    const id = `${tenant}/${name}`;
    if (state.has(table, id)) return;
    const what = table === 'group' ? 'group' : 'QoS profile';
    refusals.push({
      member,
      code: `endpoint.${table}.unknown`,
      message: `there is no ${what} ${id}`,
      fix: `declare the ${what}, in this file or before`,
      unknown: { table, id },
    });
  };
  for (const [index, group] of (groups ?? []).entries()) check(`groups[${index}]`, 'group', group);
  if (qos !== undefined) check('qos', 'qosProfile', qos);
  for (const [name, port] of Object.entries(ports ?? {})) {
    if (parseNamedPort(port) !== undefined) continue;
    refusals.push({
      member: `ports.${name}`,
      code: 'endpoint.ports',
      message: `"${port}" is no port`,
      fix: 'write 8080, or 53/udp with tcp, udp or sctp',
    });
  }
  return refusals;
}

/** What the schema of intents forbids: agents do not pass it. */
export function malformedTraits({ labels = {}, ports = {} }: Traits): TraitRefusal[] {
  const check = (member: string, pattern: string, rule: string, texts: readonly string[]) =>
    texts
      .filter((text) => !new RegExp(pattern).test(text))
      .map((text) => ({
        member,
        code: `endpoint.${member}`,
        message: `"${text}" is not valid here`,
        fix: `use ${rule}`,
      }));
  return [
    ...check('labels', LABEL_KEY_PATTERN, LABEL_KEY_RULE, Object.keys(labels)),
    ...check('labels', LABEL_VALUE_PATTERN, LABEL_VALUE_RULE, Object.values(labels)),
    ...check('ports', PORT_NAME_PATTERN, PORT_NAME_RULE, Object.keys(ports)),
  ];
}
