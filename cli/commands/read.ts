/** `weft get` and `weft describe`. */
import type { ControllerStatus } from '../../controller/api/backend.js';
import type { Kind } from '../../controller/model/intents.js';
import type { ObjectViews } from '../../controller/model/types.js';
import type { DistributionState, MulticastState } from '../../controller/multicast/types.js';
import type { DropCounter, Gathered } from '../../controller/punt/types.js';
import type { Client } from '../client.js';
import { Exit } from '../exit.js';
import { KIND_NAMES, kindNamed, objectPath } from '../kinds.js';
import { COLUMNS } from '../columns.js';
import { table, writeJson, writeLine } from '../output.js';
import { distributionText } from './multicast.js';
import { dropTable } from './packets.js';

type ObjectView = ObjectViews[Kind];

export interface GetOptions {
  readonly json: boolean;
  /** As intents that can be applied again. */
  readonly yaml: boolean;
  readonly tenant?: string | undefined;
}

export async function get(
  client: Client,
  kindWord: string,
  names: readonly string[],
  { json, yaml, tenant }: GetOptions,
): Promise<Exit> {
  // Rules stand in their policies already, where everything is written as intents.
  const all = yaml ? KIND_NAMES.filter(({ kind }) => kind !== 'Rule') : KIND_NAMES;
  const kinds = kindWord === 'all' ? all : [kindNamed(kindWord)];
  const views: ObjectView[] = [];
  for (const kind of kinds) {
    if (names.length === 0) {
      views.push(...(await client.get<ObjectView[]>(`/v1/${kind.collection}`, { query: { tenant } })));
    }
    for (const name of names) views.push(await client.get<ObjectView>(objectPath(kind, name)));
  }
  if (json) {
    writeJson(names.length === 1 && kindWord !== 'all' ? views[0] : views);
  } else if (yaml) {
    const { stringify } = await import('yaml');
    writeLine(views.map(({ spec }) => stringify(spec).trimEnd()).join('\n---\n'));
  } else {
    const shown = kinds
      .map(({ kind }) => views.filter((view) => view.kind === kind))
      .filter((group) => group.length > 0)
      .map((group) => tableOf(group));
    writeLine(shown.length > 0 ? shown.join('\n\n') : 'none');
  }
  return Exit.ok;
}

function tableOf(views: readonly ObjectView[]): string {
  const kind = views[0]?.kind ?? 'Tenant';
  const { headings, row } = COLUMNS[kind];
  // each row function is handed views of its own kind only
  return table(
    headings,
    views.map((view) => (row as (view: ObjectView) => readonly unknown[])(view)),
  );
}

interface Description extends Record<string, unknown> {
  readonly object: ObjectView;
}

export async function describe(
  client: Client,
  kindWord: string,
  name: string,
  { json }: { json: boolean },
): Promise<Exit> {
  const kind = kindNamed(kindWord);
  const object = await client.get<ObjectView>(objectPath(kind, name));
  const description: Description = { object, ...(await related(client, object)) };
  if (json) {
    writeJson(description);
    return Exit.ok;
  }
  const { stringify } = await import('yaml');
  const { object: shown, ...others } = description;
  writeLine(`${shown.kind} ${shown.name}`);
  for (const [title, value] of Object.entries({ intent: intentOf(shown), status: shown.status, ...others })) {
    if (Array.isArray(value) && value.length === 0) {
      writeLine(`\n${title}: none`);
    } else if (Array.isArray(value) && (title === 'endpoints' || title === 'rules')) {
      writeLine(`\n${title}:\n${indent(tableOf(value as ObjectView[]))}`);
    } else if (Array.isArray(value) && title === 'drops') {
      writeLine(`\n${title}:\n${indent(dropTable(value as DropCounter[]))}`);
    } else if (title === 'broadcast') {
      writeLine(`\n${title}:\n${indent(distributionText(value as DistributionState))}`);
    } else {
      writeLine(`\n${title}:\n${indent(stringify(value).trimEnd())}`);
    }
  }
  return Exit.ok;
}

/** The rules of a policy have a table of their own. */
function intentOf({ kind, spec }: ObjectView): object {
  if (kind !== 'Policy') return spec;
  const { rules: _, ...rest } = spec as ObjectViews['Policy']['spec'];
  return rest;
}

/** What a reader wants to see beside the object itself. */
async function related(client: Client, object: ObjectView): Promise<Record<string, unknown>> {
  switch (object.kind) {
    case 'Tenant':
      return {
        networks: (await client.get<ObjectView[]>('/v1/networks', { query: { tenant: object.name } })).map(
          (view) => view.name,
        ),
      };
    case 'Network': {
      const [endpoints, { floods }] = await Promise.all([
        client.get<ObjectViews['Endpoint'][]>('/v1/endpoints', { query: { tenant: object.spec.tenant } }),
        client.get<MulticastState>('/v1/multicast', { query: { network: object.name } }),
      ]);
      const broadcast = floods.find(({ network }) => network === object.name)?.distribution;
      return {
        endpoints: endpoints.filter((endpoint) => endpoint.name.startsWith(`${object.name}/`)),
        // VLAN networks have the underlay for it.
        ...(broadcast === undefined ? {} : { broadcast }),
      };
    }
    case 'Host': {
      const [status, endpoints, drops] = await Promise.all([
        client.get<ControllerStatus>('/v1/status'),
        client.get<ObjectViews['Endpoint'][]>('/v1/endpoints'),
        dropsOf(client, { host: object.name }),
      ]);
      return {
        agent:
          status.hosts.find(({ host }) => host === object.name) ??
          'not heard of since the controller started',
        switch:
          status.datapaths.find(({ host }) => host === object.name) ??
          'not connected since the controller started',
        endpoints: endpoints.filter((endpoint) => endpoint.status.host === object.name),
        drops,
      };
    }
    case 'Endpoint': {
      const { host } = object.status;
      const network = await client.get<ObjectView>(
        objectPath(kindNamed('network'), object.name.split('/').slice(0, 2).join('/')),
      );
      if (host === undefined) return { network: network.status };
      const [status, drops] = await Promise.all([
        client.get<ControllerStatus>('/v1/status'),
        dropsOf(client, { endpoint: object.name }),
      ]);
      return {
        network: network.status,
        agent: status.hosts.find((one) => one.host === host)?.state ?? 'unknown',
        switch: status.datapaths.find((one) => one.host === host)?.state ?? 'disconnected',
        drops,
      };
    }
    case 'Group': {
      const rules = await rulesOf(client, object.spec.tenant);
      return {
        endpoints: await endpointsIn(client, object.spec.tenant, [object.name]),
        rules: rules.filter(({ spec }) => peersOf(spec).some(({ group }) => group === object.spec.name)),
      };
    }
    case 'AddressSet': {
      const rules = await rulesOf(client, object.spec.tenant);
      return {
        rules: rules.filter(({ spec }) =>
          [...peersOf(spec), ...(spec.groupAddresses ?? [])].some(
            ({ addressSet }) => addressSet === object.spec.name,
          ),
        ),
      };
    }
    case 'Policy': {
      const { tenant, name } = object.spec;
      const rules = (await rulesOf(client, tenant)).filter(({ spec }) => spec.policy === name);
      return {
        rules: rules.sort((one, other) => one.status.position - other.status.position),
        endpoints: await endpointsIn(client, tenant, object.status.groups),
      };
    }
    case 'Rule': {
      const { tenant, policy } = object.spec;
      const view = await client.get<ObjectView>(objectPath(kindNamed('policy'), `${tenant}/${policy}`));
      return { policy: view.status };
    }
    case 'Tier': {
      const policies = await client.get<ObjectViews['Policy'][]>('/v1/policies');
      return {
        policies: policies.filter(({ spec }) => spec.tier === object.name).map(({ name }) => name),
      };
    }
    case 'QosProfile': {
      const { tenant } = object.spec;
      const endpoints = await client.get<ObjectViews['Endpoint'][]>('/v1/endpoints', { query: { tenant } });
      return { endpoints: endpoints.filter(({ status }) => status.qos === object.name) };
    }
    case 'HostBinding':
      return {};
  }
}

const rulesOf = (client: Client, tenant: string): Promise<ObjectViews['Rule'][]> =>
  client.get('/v1/rules', { query: { tenant } });

const peersOf = ({ from = [], to = [] }: ObjectViews['Rule']['spec']) => [...from, ...to];

/** Members of any of the groups. */
async function endpointsIn(
  client: Client,
  tenant: string,
  groups: readonly string[],
): Promise<ObjectViews['Endpoint'][]> {
  const endpoints = await client.get<ObjectViews['Endpoint'][]>('/v1/endpoints', { query: { tenant } });
  return endpoints.filter(({ status }) => status.groups?.some((group) => groups.includes(group)));
}

async function dropsOf(
  client: Client,
  about: Readonly<Record<string, string>>,
): Promise<readonly DropCounter[]> {
  return (await client.get<Gathered<DropCounter>>('/v1/drops', { query: about })).items;
}

const indent = (text: string): string => text.replaceAll(/^/gm, '  ');
