/** What the demo attaches, read from the intents that it applies: change the file and the demo shows that. */
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';

export interface DemoEndpoint {
  readonly tenant: string;
  readonly network: string;
  readonly name: string;
  readonly host: string;
}

/** A VLAN network with a gateway: the demo puts an unmanaged router there. */
export interface DemoRouter {
  /** `<tenant>/<network>` */
  readonly network: string;
  readonly vlan: number;
  /** With prefix length. */
  readonly address: string;
}

export interface Scenario {
  readonly hosts: readonly string[];
  readonly endpoints: readonly DemoEndpoint[];
  readonly routers: readonly DemoRouter[];
}

type IntentObject = Readonly<Record<string, unknown>>;

/** The controller judges the intents; this takes what it needs of them and leaves the rest alone. */
export function readScenario(file: string): Scenario {
  const objects = parseAllDocuments(readFileSync(file, 'utf8')).map(
    (document) => document.toJS() as IntentObject,
  );
  const text = (object: IntentObject, member: string): string => String(object[member] ?? '');
  const endpoints = objects
    .filter((object) => object['kind'] === 'Endpoint' && object['host'] !== undefined)
    .map((object) => ({
      tenant: text(object, 'tenant'),
      network: text(object, 'network'),
      name: text(object, 'name'),
      host: text(object, 'host'),
    }));
  const routers = objects
    .filter((object) => object['kind'] === 'Network' && object['encapsulation'] === 'vlan')
    .filter((object) => object['tag'] !== undefined && object['gateway'] !== undefined)
    .map((object) => ({
      network: `${text(object, 'tenant')}/${text(object, 'name')}`,
      vlan: Number(object['tag']),
      address: `${text(object, 'gateway')}/${text(object, 'subnet').split('/')[1] ?? '24'}`,
    }));
  return { hosts: [...new Set(endpoints.map((endpoint) => endpoint.host))].sort(), endpoints, routers };
}
