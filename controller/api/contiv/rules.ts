/**
 * Rules: contiv's as Weft's, and back. A rule of Weft can say more than contiv's members can: it is shown as text where they have text,
 * and not changed through this API.
 */
import type { PeerIntent, RuleIntent } from '../../model/intents.js';
import type { ObjectViews } from '../../model/types.js';
import { formatProtocol, parseProtocol } from '../../model/services.js';
import { Refusal } from './answers.js';
import { withTenant } from './objects.js';
import { RuleBody } from './schemas.js';
import { idOfKey, keyOf, link, linkSet, object } from './snapshot.js';
import type { ContivKind, Members } from './types.js';

const PEERS = {
  in: { group: 'fromEndpointGroup', network: 'fromNetwork', address: 'fromIpAddress' },
  out: { group: 'toEndpointGroup', network: 'toNetwork', address: 'toIpAddress' },
} as const;

/** contiv knows it by name, Weft by number. */
const IGMP = 2;

export const rule: ContivKind = {
  collection: 'rules',
  word: 'rule',
  keyMembers: ['tenantName', 'policyName', 'ruleId'],
  schema: RuleBody,
  list: (snapshot) => snapshot.rules.map(ruleObject),
  get: (snapshot, key) => {
    const view = snapshot.model.get('Rule', idOfKey(key));
    return view && ruleObject(view);
  },
  intents: ({ model }, body: RuleBody) => {
    const id = `${body.tenantName}/${body.policyName}/${body.ruleId}`;
    const existing = model.get('Rule', id);
    if (existing !== undefined && !isContivs(existing.spec)) {
      throw new Refusal(
        'rule',
        `rule ${keyOf(id)} says more than contiv's members can`,
        'change it with weft apply, or delete it first',
      );
    }
    const intent: RuleIntent = {
      kind: 'Rule',
      tenant: body.tenantName ?? '',
      policy: body.policyName ?? '',
      name: body.ruleId ?? '',
      ...intentMembers(body),
    };
    return withTenant(model, intent);
  },
  refs: (key) => [{ kind: 'Rule', name: idOfKey(key) }],
};

/** Members of the intent; which of them go together, and what they name, is for the model to judge. */
function intentMembers(body: RuleBody): Partial<RuleIntent> {
  const texts = [
    'fromEndpointGroup',
    'fromNetwork',
    'fromIpAddress',
    'toEndpointGroup',
    'toNetwork',
    'toIpAddress',
    'action',
    'direction',
  ] as const;
  const found: Record<string, unknown> = {};
  for (const member of texts) if ((body[member] ?? '') !== '') found[member] = body[member];
  if ((body.priority ?? 0) !== 0) found.priority = body.priority;
  if ((body.port ?? 0) !== 0) found.port = body.port;
  if ((body.protocol ?? '') !== '') found.protocol = body.protocol === 'igmp' ? IGMP : body.protocol;
  return found;
}

/** Whether contiv's members say all of it. */
function isContivs(spec: RuleIntent): boolean {
  const peers = [...(spec.from ?? []), ...(spec.to ?? [])];
  const ports = spec.ports ?? [];
  return (
    peers.length <= 1 &&
    peers.every(({ addressSet, except }) => addressSet === undefined && except === undefined) &&
    ports.length <= 1 &&
    ports.every((port) => typeof port === 'number') &&
    (spec.protocol === undefined || parseProtocol(spec.protocol) !== undefined) &&
    spec.action !== 'reject' &&
    [spec.groupAddresses, spec.icmpType, spec.icmpCode, spec.log, spec.stateless].every(
      (one) => one === undefined,
    )
  );
}

function ruleObject({ name, spec, status }: ObjectViews['Rule']): Members {
  const { direction } = status;
  const peers = (direction === 'in' ? spec.from : spec.to) ?? [];
  const [peer] = peers;
  return object({
    key: keyOf(name),
    tenantName: spec.tenant,
    policyName: spec.policy,
    ruleId: spec.name,
    direction,
    priority: status.priority,
    action: status.action,
    ...(peer === undefined ? {} : peerMembers(direction, peers, status.peers)),
    ...serviceMembers(spec, status.services),
    'link-sets': object({ Policies: linkSet('policy', [`${spec.tenant}/${spec.policy}`]) }),
    links: {
      MatchEndpointGroup:
        peers.length === 1 && peer?.group !== undefined
          ? link('endpointGroup', `${spec.tenant}/${peer.group}`)
          : {},
    },
  });
}

function peerMembers(direction: 'in' | 'out', peers: readonly PeerIntent[], text: string): Members {
  const names = PEERS[direction];
  const [peer] = peers;
  if (peers.length === 1 && peer !== undefined && peer.except === undefined) {
    if (peer.group !== undefined) return { [names.group]: peer.group };
    if (peer.network !== undefined) return { [names.network]: peer.network };
    if (peer.cidr !== undefined) return { [names.address]: peer.cidr };
  }
  return { [names.address]: text };
}

function serviceMembers({ protocol, ports = [], icmpType }: RuleIntent, text: string): Members {
  const [port] = ports;
  const number = protocol === undefined ? undefined : parseProtocol(protocol);
  if (number === undefined) return {};
  const isPlain =
    ports.length <= 1 && (port === undefined || typeof port === 'number') && icmpType === undefined;
  if (!isPlain) return { protocol: text };
  return { protocol: number === IGMP ? 'igmp' : formatProtocol(number), port };
}
