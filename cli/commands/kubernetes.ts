/** `weft get kubernetes`: how far the cluster is known, what is refused, its nodes and Services. */
import type { KubernetesReport } from '../../controller/kubernetes/types.js';
import type { Client } from '../client.js';
import { Exit } from '../exit.js';
import { table, writeJson, writeLine } from '../output.js';

export async function getKubernetes(client: Client, { json }: { readonly json: boolean }): Promise<Exit> {
  const report = await client.get<KubernetesReport>('/v1/kubernetes');
  if (json) writeJson(report);
  else writeLine(kubernetesText(report, Date.now()));
  return Exit.ok;
}

/** @param now milliseconds since 1970 */
export function kubernetesText(report: KubernetesReport, now: number): string {
  if (!report.enabled) return 'no cluster is watched (kubernetes.enabled in the configuration)';
  const { server, tenant, network, synced, declared, resources, nodes, services, refused, problems } = report;
  const parts = [
    `${server}: ${synced ? `${declared} intents` : 'not declared yet'} in tenant ${tenant}, pods in network ${network}`,
    table(
      ['resource', 'state', 'objects', 'refused', 'relists', 'heard', 'error'],
      resources.map(({ resource, state, objects, refused: wrong, relists, lastHeard, error }) => [
        resource,
        state,
        `${objects}`,
        wrong === 0 ? undefined : `${wrong}`,
        relists === 0 ? undefined : `${relists}`,
        lastHeard === undefined ? undefined : `${Math.max(0, Math.round((now - lastHeard) / 1000))}s ago`,
        error,
      ]),
    ),
  ];
  if (nodes.length > 0) {
    parts.push(
      table(
        ['node', 'host', 'ready', 'addresses'],
        nodes.map(({ name, host, ready, addresses }) => [
          name,
          host,
          ready ? 'yes' : 'no',
          addresses.join(', '),
        ]),
      ),
    );
  }
  if (services.length > 0) {
    parts.push(
      table(
        ['service', 'addresses', 'ports'],
        services.map(({ namespace, name, clusterIps, ports }) => [
          `${namespace}/${name}`,
          clusterIps.join(', '),
          ports
            .map(({ protocol, port, targetPort }) => `${port}/${protocol.toLowerCase()} to ${targetPort}`)
            .join(', '),
        ]),
      ),
    );
  }
  if (refused.length > 0) {
    parts.push(
      table(
        ['refused', 'reason'],
        refused.map(({ object, reason }) => [object, reason]),
      ),
    );
  }
  return [...parts, ...problems].join('\n\n');
}
