/** Two groups that may not reach each other, as facts. */
import type { FactInputs } from '../../controller/datapath/desired.js';
import type { RuleFact } from '../../controller/model/facts.js';
import { setEndpoint, setHost, setNetwork, setPort } from '../apps/facts.js';

export const WEB = 'acme/web';

/** Whose members are denied to reach the other group, `out` where they are, or `in` where the others are. */
export function deny(facts: FactInputs, from: string, to: string, side: 'in' | 'out' | undefined): void {
  const of = { out: from, in: to };
  for (const direction of ['out', 'in'] as const) {
    const policy = `acme/${of[direction]}`;
    const id = `${policy}/not-${from}-${to}`;
    const rule: RuleFact = {
      id,
      policy,
      name: `not-${from}-${to}`,
      number: (from === 'front' ? 1 : 3) + (direction === 'in' ? 1 : 0),
      direction,
      priority: 1,
      position: 0,
      action: 'deny',
      log: false,
      stateless: false,
      peers: [{ kind: 'group', id: `acme/${direction === 'out' ? to : from}` }],
      services: [],
    };
    if (side === direction) facts.rules.set(id, rule);
    else facts.rules.delete(id);
  }
}

/** An endpoint of the group `app`, attached. */
export const attach = (facts: FactInputs, number: number, host: number, app: string): string =>
  setEndpoint(facts, WEB, number, { host, port: 10 + number, labels: { app } });

/**
 * Three hosts: front on the first, back on the second, and on the third an endpoint of a network of its own. What one group may send to
 * the other is denied where it is sent.
 */
export function writeDenials(facts: FactInputs): void {
  facts.tenants.set('acme', { name: 'acme', number: 1 });
  setNetwork(facts, WEB, 1, 'vxlan', { tag: 100 });
  setNetwork(facts, 'acme/other', 2, 'vxlan', { tag: 200 });
  for (const host of [1, 2, 3]) {
    setHost(facts, host);
    setPort(facts, host, 'weft-vxlan', 65000);
  }
  for (const [i, name] of ['front', 'back'].entries()) {
    const [id, tenant, number] = [`acme/${name}`, 'acme', i + 1];
    facts.policies.set(id, { id, tenant, name, number, tier: 10 });
    const selector = { matchLabels: { app: name }, expressions: [] };
    facts.groups.set(id, { id, tenant, name, number, endpoints: [], networks: [], selector, policies: [id] });
  }
  attach(facts, 1, 1, 'front');
  attach(facts, 2, 2, 'back');
  setEndpoint(facts, 'acme/other', 3, { host: 3, port: 13 });
  // So that both groups are mentioned, whatever moves.
  deny(facts, 'back', 'front', 'out');
  deny(facts, 'front', 'back', 'out');
}
