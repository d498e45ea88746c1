/** What a runtime hands to a CNI plugin: the network configuration, the environment and `CNI_ARGS`, checked. */
import { isIP } from 'node:net';
import Type, { type Static } from 'typebox';
import { mismatch } from '../../rpc/validate.js';
import { containerEndpointName, podEndpointName } from './names.js';
import {
  CNI_COMMANDS,
  CNI_VERSIONS,
  type CniCommand,
  CniCode,
  CniError,
  type CniVersion,
  type Dns,
  atLeast,
} from './protocol.js';

/** An operation as it arrives. */
export interface CniRequest {
  /** The `CNI_…` variables that are set and not empty. */
  readonly environment: Readonly<Partial<Record<EnvironmentVariable, string>>>;
  /** Standard input: a JSON document. */
  readonly configuration: unknown;
}

export const ENVIRONMENT = [
  'CNI_COMMAND',
  'CNI_CONTAINERID',
  'CNI_NETNS',
  'CNI_IFNAME',
  'CNI_ARGS',
  'CNI_PATH',
] as const;
export type EnvironmentVariable = (typeof ENVIRONMENT)[number];

/** Which interface of which container an operation is about: the key of the specification, with the network's name. */
export interface InterfaceKey {
  readonly network: string;
  readonly containerId: string;
  readonly interfaceName: string;
}

const Name = (description: string) =>
  Type.String({ pattern: '^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$', description });
const Names = (description: string) => Type.Array(Name(description), { maxItems: 1000, description });
const Texts = (description: string) => Type.Array(Type.String({ minLength: 1 }), { description });
const LabelKey = Type.String({ minLength: 1, maxLength: 317 });
const Labels = (description: string) =>
  Type.Record(LabelKey, Type.String({ maxLength: 63 }), { description });
/** Bits, or bits per second; 0 says nothing. */
const Bits = Type.Optional(Type.Number({ minimum: 0, description: 'bits per second, or bits of a burst' }));

const Bandwidth = Type.Object({
  ingressRate: Bits,
  ingressBurst: Bits,
  egressRate: Bits,
  egressBurst: Bits,
});

/** The members that are Weft's, and those of the specification that it heeds. */
const Configuration = Type.Object({
  tenant: Name('the name of a tenant'),
  network: Type.Optional(Name('the name of a network of the tenant; default: the name of the configuration')),
  group: Type.Optional(Name('the name of a group of the tenant')),
  groups: Type.Optional(Names('the names of groups of the tenant')),
  labels: Type.Optional(Labels('labels, text by key')),
  qos: Type.Optional(Name('the name of a QoS profile of the tenant')),
  mtu: Type.Optional(Type.Integer({ minimum: 576, maximum: 65_535, description: 'bytes, from 576 on' })),
  deadlineMs: Type.Optional(
    Type.Integer({ minimum: 100, maximum: 600_000, description: 'milliseconds, 100 to 600000' }),
  ),
  socket: Type.Optional(Type.String({ pattern: '^/', description: "path of the agent's socket" })),
  dns: Type.Optional(
    Type.Object({
      nameservers: Type.Optional(Texts('addresses of name servers')),
      domain: Type.Optional(Type.String()),
      search: Type.Optional(Texts('domains')),
      options: Type.Optional(Texts('options of the resolver')),
    }),
  ),
  runtimeConfig: Type.Optional(
    Type.Object({
      bandwidth: Type.Optional(Bandwidth),
      ips: Type.Optional(Texts('addresses')),
      mac: Type.Optional(Type.String()),
    }),
  ),
  args: Type.Optional(
    Type.Object({
      cni: Type.Optional(
        Type.Object({
          ips: Type.Optional(Texts('addresses')),
          labels: Type.Optional(
            Type.Array(Type.Object({ key: LabelKey, value: Type.String({ maxLength: 63 }) }), {
              description: 'labels, each with key and value',
            }),
          ),
        }),
      ),
    }),
  ),
});
type Configuration = Static<typeof Configuration>;

/** Of the specification, heeded elsewhere or of no meaning to a plugin. */
const KNOWN = new Set(
  Object.keys(Configuration.properties).concat(
    ['cniVersion', 'cniVersions', 'name', 'type', 'capabilities', 'prevResult', 'ipMasq'],
    ['disableCheck', 'disableGC'],
  ),
);
const CAPABILITIES = ['bandwidth', 'ips', 'mac'];

/** What every operation has to do with. */
export interface Basics {
  readonly command: CniCommand;
  readonly version: CniVersion;
  /** Of the network configuration. */
  readonly name: string;
  readonly document: Readonly<Record<string, unknown>>;
}

/** Kilobits, and kilobits per second. */
export interface Rate {
  readonly kilobitsPerSecond: number;
  readonly burstKilobits?: number;
}

/** What ADD is asked for. */
export interface WantedEndpoint {
  readonly tenant: string;
  readonly network: string;
  readonly endpoint: string;
  /** Named after a pod: a newer sandbox of the pod takes it over. */
  readonly ofPod: boolean;
  readonly attachUUID?: string;
  readonly ips: readonly string[];
  readonly mac?: string;
  readonly groups: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly qos?: string;
  /** As the container sees it: `in` is what it receives. */
  readonly rates: { readonly in?: Rate; readonly out?: Rate };
  readonly mtu?: number;
  readonly deadlineMs?: number;
  readonly dns: Dns;
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isVersion = (version: unknown): version is CniVersion =>
  (CNI_VERSIONS as readonly unknown[]).includes(version);

/**
 * The operation, and the version that it is spoken in.
 * @throws CniError incompatibleVersion, invalidEnvironment, invalidConfiguration
 */
export function basicsOf({ environment, configuration }: CniRequest): Basics {
  const command = commandOf(environment.CNI_COMMAND);
  if (!isRecord(configuration)) {
    throw new CniError(CniCode.undecodable, 'the network configuration is no JSON object');
  }
  // Until 0.2.0 a configuration needed no version.
  const { cniVersion = '0.1.0', name } = configuration;
  if (!isVersion(cniVersion)) {
    throw new CniError(
      CniCode.incompatibleVersion,
      `cniVersion ${JSON.stringify(cniVersion)} is not supported`,
      `use one of ${CNI_VERSIONS.join(', ')}`,
    );
  }
  if (!atLeast(cniVersion, CNI_COMMANDS[command])) {
    throw new CniError(
      CniCode.incompatibleVersion,
      `${command} came with version ${CNI_COMMANDS[command]}, the configuration has ${cniVersion}`,
      'raise cniVersion of the network configuration',
    );
  }
  if (command === 'VERSION') return { command, version: cniVersion, name: '', document: configuration };
  if (typeof name !== 'string' || name === '') throw invalid('name', 'is missing');
  return { command, version: cniVersion, name, document: configuration };
}

function commandOf(command: string | undefined): CniCommand {
  if (command !== undefined && Object.hasOwn(CNI_COMMANDS, command)) return command as CniCommand;
  throw new CniError(
    CniCode.invalidEnvironment,
    command === undefined ? 'CNI_COMMAND is missing' : `CNI_COMMAND "${command}" is unknown`,
    `it is one of ${Object.keys(CNI_COMMANDS).join(', ')}`,
  );
}

const invalid = (path: string, problem: string, fix?: string): CniError =>
  new CniError(CniCode.invalidConfiguration, `network configuration: ${path} ${problem}`, fix);

const unsupported = (path: string, value: unknown, fix: string): CniError =>
  new CniError(
    CniCode.unsupportedField,
    `network configuration: ${path}: ${JSON.stringify(value)} is not supported`,
    fix,
  );

/**
 * The interface that an operation is about.
 * @throws CniError invalidEnvironment
 */
export function keyOf(
  { environment }: CniRequest,
  { name, command }: Basics,
): InterfaceKey & { netns?: string } {
  const { CNI_CONTAINERID: containerId, CNI_IFNAME: interfaceName, CNI_NETNS: netns } = environment;
  const problems = [
    ...(containerId === undefined ? ['CNI_CONTAINERID is missing'] : []),
    ...(containerId === undefined || /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(containerId)
      ? []
      : [`CNI_CONTAINERID "${containerId}" is no container id`]),
    ...(interfaceName === undefined ? ['CNI_IFNAME is missing'] : []),
    ...(interfaceName === undefined || isInterfaceName(interfaceName)
      ? []
      : [`CNI_IFNAME "${interfaceName}" is no interface name`]),
    ...(netns === undefined && command !== 'DEL' ? ['CNI_NETNS is missing'] : []),
    ...(netns === undefined || netns.startsWith('/') ? [] : [`CNI_NETNS "${netns}" is no absolute path`]),
  ];
  if (problems.length > 0 || containerId === undefined || interfaceName === undefined) {
    throw new CniError(CniCode.invalidEnvironment, problems.join('; '));
  }
  return { network: name, containerId, interfaceName, ...(netns === undefined ? {} : { netns }) };
}

const isInterfaceName = (name: string): boolean =>
  name.length <= 15 && !/[/:\s]/.test(name) && name !== '.' && name !== '..';

/**
 * The endpoint that is asked for. Members that nobody knows are refused: a misspelt `groups` would let a container run without its policy.
 * @throws CniError invalidConfiguration, unsupportedField, invalidEnvironment
 */
export function wantedEndpoint(
  request: CniRequest,
  { name, document }: Basics,
  key: InterfaceKey,
): WantedEndpoint {
  const configuration = checked(document);
  const args = parseArgs(request.environment.CNI_ARGS ?? '');
  const { tenant, network = name, group, groups = [], qos, mtu, deadlineMs, dns = {} } = configuration;
  const { runtimeConfig = {}, args: { cni = {} } = {} } = configuration;
  const bandwidth = runtimeConfig.bandwidth ?? {};
  const incoming = rateOf('ingress', bandwidth.ingressRate, bandwidth.ingressBurst);
  const outgoing = rateOf('egress', bandwidth.egressRate, bandwidth.egressBurst);
  const mac = runtimeConfig.mac ?? args.get('MAC');
  if (mac !== undefined && !/^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/.test(mac)) {
    throw invalid('runtimeConfig.mac', `"${mac}" is no MAC address`);
  }
  const profile = args.get('WEFT_QOS') ?? qos;
  const uid = args.get('K8S_POD_UID');
  return {
    tenant,
    network,
    ...endpointName(args, key),
    ...(uid === undefined ? {} : { attachUUID: uid }),
    ips: [...new Set([...(runtimeConfig.ips ?? cni.ips ?? []), ...listed(args.get('IP'))].map(bareAddress))],
    ...(mac === undefined ? {} : { mac }),
    groups: [
      ...new Set([...(group === undefined ? [] : [group]), ...groups, ...listed(args.get('WEFT_GROUPS'))]),
    ],
    labels: {
      ...configuration.labels,
      ...Object.fromEntries((cni.labels ?? []).map(({ key, value }) => [key, value])),
    },
    ...(profile === undefined ? {} : { qos: profile }),
    rates: {
      ...(incoming === undefined ? {} : { in: incoming }),
      ...(outgoing === undefined ? {} : { out: outgoing }),
    },
    ...(mtu === undefined ? {} : { mtu }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    dns,
  };
}

function checked(document: Readonly<Record<string, unknown>>): Configuration {
  const { ipMasq, prevResult: _, ...members } = document;
  if (ipMasq === true) {
    throw unsupported('ipMasq', ipMasq, 'containers leave by the gateway of their network; let it translate');
  }
  if (
    members['ipam'] !== undefined &&
    !(isRecord(members['ipam']) && Object.keys(members['ipam']).length === 0)
  ) {
    throw unsupported(
      'ipam',
      members['ipam'],
      'remove it: addresses are those of the network in the controller',
    );
  }
  for (const [member, value] of Object.entries(members)) {
    // Names with a dot are those of other parties, such as cni.dev/valid-attachments.
    if (KNOWN.has(member) || member === 'ipam' || member.includes('.')) continue;
    throw unsupported(member, value, 'remove it, or correct its name');
  }
  for (const [capability, enabled] of Object.entries(members['capabilities'] ?? {})) {
    if (enabled !== true || CAPABILITIES.includes(capability)) continue;
    throw unsupported(
      `capabilities.${capability}`,
      enabled,
      capability === 'portMappings'
        ? 'give it to the plugin portmap, behind this one in the list'
        : `of this plugin there are ${CAPABILITIES.join(', ')}`,
    );
  }
  const wrong = mismatch(Configuration, members);
  if (wrong !== undefined) throw invalid(wrong.path, wrong.message, wrong.fix);
  return members as unknown as Configuration;
}

function endpointName(
  args: ReadonlyMap<string, string>,
  { containerId, interfaceName }: InterfaceKey,
): { endpoint: string; ofPod: boolean } {
  const given = args.get('WEFT_ENDPOINT');
  const namespace = args.get('K8S_POD_NAMESPACE');
  const pod = args.get('K8S_POD_NAME');
  if (given !== undefined) return { endpoint: given, ofPod: false };
  if (namespace !== undefined && pod !== undefined) {
    return { endpoint: podEndpointName(namespace, pod), ofPod: true };
  }
  return { endpoint: containerEndpointName(containerId, interfaceName), ofPod: false };
}

/** What is understood in `CNI_ARGS`. */
const ARGUMENTS = new Set([
  'IgnoreUnknown',
  'K8S_POD_NAMESPACE',
  'K8S_POD_NAME',
  'K8S_POD_UID',
  'K8S_POD_INFRA_CONTAINER_ID',
  'WEFT_ENDPOINT',
  'WEFT_GROUPS',
  'WEFT_QOS',
  'IP',
  'MAC',
]);

/** @throws CniError invalidEnvironment: no pairs, or a name that is not known without `IgnoreUnknown` */
function parseArgs(text: string): ReadonlyMap<string, string> {
  const args = new Map<string, string>();
  for (const pair of text.split(';').filter((part) => part !== '')) {
    const [name = '', ...value] = pair.split('=');
    if (name === '' || value.length === 0) {
      throw new CniError(CniCode.invalidEnvironment, `CNI_ARGS: "${pair}" is no KEY=VALUE`);
    }
    if (value.join('=') !== '') args.set(name, value.join('='));
  }
  if (/^(1|t|true|T|True|TRUE)$/.test(args.get('IgnoreUnknown') ?? '')) return args;
  const unknown = [...args.keys()].find((name) => !ARGUMENTS.has(name));
  if (unknown === undefined) return args;
  throw new CniError(
    CniCode.invalidEnvironment,
    `CNI_ARGS: "${unknown}" is unknown`,
    'remove it, or add IgnoreUnknown=1',
  );
}

const listed = (text: string | undefined): string[] => (text ?? '').split(',').filter((part) => part !== '');

/** Runtimes may give a prefix length; it is the network's to say. */
function bareAddress(text: string): string {
  const [address = ''] = text.split('/');
  if (isIP(address) === 0) throw invalid('ips', `"${text}" is no IP address`);
  return address;
}

/** containerd says by a burst of 2^32 - 1 that it has none to say, the kubelet by 2^31 - 1. */
const NO_BURST = 2 ** 31 - 1;

/** Of the capability `bandwidth`: bits, of which meters know thousands. */
function rateOf(direction: string, rate = 0, burst = 0): Rate | undefined {
  if (rate === 0) {
    if (burst > 0) throw invalid(`runtimeConfig.bandwidth.${direction}Burst`, 'has no rate');
    return undefined;
  }
  if (rate < 1000) {
    throw invalid(`runtimeConfig.bandwidth.${direction}Rate`, 'is less than 1000 bits per second');
  }
  return {
    kilobitsPerSecond: Math.round(rate / 1000),
    ...(burst < 1000 || burst >= NO_BURST ? {} : { burstKilobits: Math.round(burst / 1000) }),
  };
}
