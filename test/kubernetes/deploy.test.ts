/** deploy/kubernetes/weft.yaml: complete, consistent in itself, and with no more rights than the watcher uses. */
import { readFileSync } from 'node:fs';
import type {
  V1ClusterRole,
  V1ClusterRoleBinding,
  V1ConfigMap,
  V1DaemonSet,
  V1Deployment,
  V1PodTemplateSpec,
  V1Service,
} from '@kubernetes/client-node';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { podEndpointName } from '../../agent/cni/names.js';
import { buildProgram } from '../../cli/program.js';
import { parseConfig } from '../../controller/config/load.js';
import { nameIn } from '../../controller/kubernetes/names.js';
import { PATHS } from '../../controller/kubernetes/reflector.js';
import { openScene } from './support.js';

const file = new URL('../../../deploy/kubernetes/weft.yaml', import.meta.url);
const documents = parseAllDocuments(readFileSync(file, 'utf8'));
const objects = documents.map(
  (document) => document.toJS() as { kind: string; metadata: Record<string, unknown> },
);

function only<T>(kind: string, name: string): T {
  const found = objects.filter((one) => one.kind === kind && one.metadata['name'] === name);
  if (found.length !== 1) throw new Error(`${found.length} objects ${kind} ${name}`);
  return found[0] as unknown as T;
}
const deployment = only<V1Deployment>('Deployment', 'weft-controller');
const daemonSet = only<V1DaemonSet>('DaemonSet', 'weft-agent');
const templates: readonly V1PodTemplateSpec[] = [
  ...(deployment.spec === undefined ? [] : [deployment.spec.template]),
  ...(daemonSet.spec === undefined ? [] : [daemonSet.spec.template]),
];

t.test('the objects, each once and in their namespace', (t) => {
  t.strictSame(
    documents.flatMap(({ errors }) => errors),
    [],
  );
  t.strictSame(
    objects.map(({ kind, metadata }) => `${kind} ${String(metadata['name'])}`),
    [
      'Namespace weft-system',
      'ServiceAccount weft-controller',
      'ServiceAccount weft-agent',
      'ClusterRole weft-controller',
      'ClusterRoleBinding weft-controller',
      'ConfigMap weft-controller',
      'Service weft-controller',
      'Deployment weft-controller',
      'DaemonSet weft-agent',
    ],
  );
  const cluster = ['Namespace', 'ClusterRole', 'ClusterRoleBinding'];
  for (const { kind, metadata } of objects)
    t.equal(metadata['namespace'], cluster.includes(kind) ? undefined : 'weft-system', kind);
  t.end();
});

t.test('rights: exactly what the watcher asks for', async (t) => {
  const { api, follow } = await openScene(t);
  await follow();
  const asked = [...new Set(api.verbs())].sort();
  const role = only<V1ClusterRole>('ClusterRole', 'weft-controller');
  const granted = (role.rules ?? []).flatMap(({ apiGroups = [], resources = [], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => ({ group, resource, verb }))),
    ),
  );
  t.strictSame(granted.map(({ verb, resource }) => `${verb} ${resource}`).sort(), asked);
  for (const { group, resource } of granted) {
    const prefix = group === '' ? '/api/v1' : `/apis/${group}/v1`;
    t.equal(PATHS[resource as keyof typeof PATHS], `${prefix}/${resource}`);
  }
  const { roleRef, subjects } = only<V1ClusterRoleBinding>('ClusterRoleBinding', 'weft-controller');
  t.equal(roleRef.name, 'weft-controller');
  t.match(subjects, [{ kind: 'ServiceAccount', name: 'weft-controller', namespace: 'weft-system' }]);
  t.equal(subjects?.length, 1);
  t.strictSame(
    templates.map(({ spec }) => [spec?.serviceAccountName, spec?.automountServiceAccountToken]),
    [
      ['weft-controller', true],
      ['weft-agent', false],
    ],
    'agents have no token',
  );
});

t.test('the configuration is one that the controller takes', (t) => {
  const { data } = only<V1ConfigMap>('ConfigMap', 'weft-controller');
  const config = parseConfig(data?.['controller.yaml'] ?? '');
  t.match(config.kubernetes, { enabled: true, kubeconfig: undefined, tenant: 'kubernetes', network: 'pods' });
  const ports = new Map(
    only<V1Service>('Service', 'weft-controller').spec?.ports?.map(({ name, port }) => [name, port]),
  );
  t.equal(config.openflow.listen, `0.0.0.0:${ports.get('openflow')}`);
  t.equal(config.hub.listen, `0.0.0.0:${ports.get('hub')}`);
  const [controller] = deployment.spec?.template.spec?.containers ?? [];
  for (const probe of [controller?.readinessProbe, controller?.livenessProbe])
    t.equal(config.http.listen, `${probe?.httpGet?.host}:${String(probe?.httpGet?.port)}`);
  t.ok(controller?.args?.includes('--config=/etc/weft/controller.yaml'));
  t.end();
});

t.test('the command lines are those of weft', (t) => {
  const commands = new Map(
    buildProgram(() => undefined).commands.map((command) => [command.name(), command]),
  );
  for (const { spec } of templates) {
    for (const { args = [], env = [] } of spec?.containers ?? []) {
      const [name = '', ...options] = args;
      const known = commands.get(name)?.options ?? [];
      for (const option of options) {
        const flag = option.split('=')[0] ?? '';
        t.ok(
          known.some(({ long }) => long === flag),
          `${name} ${flag}`,
        );
      }
      for (const { long, mandatory } of known)
        if (mandatory)
          t.ok(
            options.some((option) => option.startsWith(`${long}=`)),
            `${name} ${long}`,
          );
      const variables = args.flatMap((arg) =>
        [...arg.matchAll(/\$\((\w+)\)/g)].map(([, variable]) => variable),
      );
      // Kubelets make this one for the Service that stands before.
      const made = ['WEFT_CONTROLLER_SERVICE_HOST', ...env.map((one) => one.name)];
      t.strictSame(
        variables.filter((variable) => !made.includes(variable ?? '')),
        [],
      );
    }
  }
  t.end();
});

t.test('volumes, ports and labels belong together', (t) => {
  for (const { metadata, spec } of templates) {
    const volumes = (spec?.volumes ?? []).map(({ name }) => name);
    const mounted = (spec?.containers ?? []).flatMap(({ volumeMounts = [] }) =>
      volumeMounts.map(({ name }) => name),
    );
    t.strictSame([...mounted].sort(), [...volumes].sort());
    t.equal(spec?.hostNetwork, true, 'before there is a network of pods');
    for (const { securityContext, image } of spec?.containers ?? []) {
      t.match(securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true });
      t.strictSame(securityContext?.capabilities?.drop, ['ALL']);
      t.equal(image, 'weft:0.1.0');
    }
    t.ok(Object.keys(metadata?.labels ?? {}).length > 0);
  }
  for (const { spec } of [deployment, daemonSet])
    t.strictSame(spec?.selector.matchLabels, spec?.template.metadata?.labels);
  t.strictSame(
    only<V1Service>('Service', 'weft-controller').spec?.selector,
    deployment.spec?.template.metadata?.labels,
  );
  t.strictSame([deployment.spec?.replicas, deployment.spec?.strategy?.type], [1, 'Recreate']);
  t.end();
});

t.test('watcher and plugin call pods the same', (t) => {
  for (const pod of ['web-0', 'a.b-c', 'p'.repeat(248), 'p'.repeat(249), 'p'.repeat(253)])
    t.equal(nameIn('shop', pod), podEndpointName('shop', pod));
  t.end();
});
