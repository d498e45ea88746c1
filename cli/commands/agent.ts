/** `weft agent`, and the commands that speak to the agent of this host: `weft attach`, `weft detach`, `weft attachments`. */
import { LocalAttach, LocalDetach, LocalStatus } from '../../agent/local/methods.js';
import { type AgentCommandOptions, runAgent } from '../../agent/main.js';
import {
  connect,
  type ParamsOf,
  Peer,
  type RequestType,
  type ResultOf,
  Router,
  RpcError,
} from '../../rpc/index.js';
import { CommandError, Exit } from '../exit.js';
import { table, writeJson, writeLine } from '../output.js';

export async function agent(options: AgentCommandOptions): Promise<Exit> {
  const code = await runAgent(options);
  return code === 2 ? Exit.usage : code === 0 ? Exit.ok : Exit.error;
}

interface LocalOptions {
  /** Path of the agent's unix socket. */
  readonly socket: string;
  readonly json: boolean;
}

export interface AttachOptions extends LocalOptions {
  /** A path, or a name in /run/netns (`ip netns`). */
  readonly netns?: string;
  readonly interface?: string;
  readonly innerInterface?: string;
  readonly attachUuid?: string;
  readonly ip?: string;
  readonly mac?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly group?: readonly string[];
  /** Ports by name: `8080`, `53/udp`. */
  readonly port?: Readonly<Record<string, string>>;
  readonly qos?: string;
  /** Seconds. */
  readonly timeout: number;
}

export async function attach(name: string, options: AttachOptions): Promise<Exit> {
  const {
    socket,
    json,
    netns,
    interface: interfaceName,
    innerInterface,
    attachUuid,
    ip,
    mac,
    label,
    group,
    port: namedPorts,
    qos,
    timeout,
  } = options;
  if ((netns === undefined) === (interfaceName === undefined)) {
    throw new CommandError(Exit.usage, 'give either --netns or --interface: what is to be attached', {
      code: 'usage.attach',
    });
  }
  const result = await callAgent(
    socket,
    LocalAttach,
    {
      ...endpointOf(name),
      ...(netns === undefined ? {} : { netns: netns.startsWith('/') ? netns : `/run/netns/${netns}` }),
      ...(interfaceName === undefined ? {} : { interface: interfaceName }),
      ...(innerInterface === undefined ? {} : { innerInterface }),
      ...(attachUuid === undefined ? {} : { attachUUID: attachUuid }),
      ...(ip === undefined ? {} : { ip }),
      ...(mac === undefined ? {} : { mac }),
      ...(label === undefined ? {} : { labels: label }),
      ...(group === undefined ? {} : { groups: [...group] }),
      ...(namedPorts === undefined ? {} : { ports: namedPorts }),
      ...(qos === undefined ? {} : { qos }),
      deadlineMs: Math.round(timeout * 1000),
    },
    timeout * 1000 + 5000,
  );
  if (json) {
    writeJson(result);
    return Exit.ok;
  }
  const { endpoint, interface: port, mtu, others } = result;
  writeLine(
    `attached ${name}: ${[endpoint.ip, endpoint.ip6].filter(Boolean).join(', ')}, ${endpoint.mac}, port ${port}, MTU ${mtu}`,
  );
  writeLine(
    others === 'acknowledged'
      ? 'every switch has acknowledged'
      : 'this switch has acknowledged, others follow',
  );
  return Exit.ok;
}

export async function detach(
  name: string,
  { socket, json, release }: LocalOptions & { release: boolean },
): Promise<Exit> {
  const result = await callAgent(socket, LocalDetach, { ...endpointOf(name), release });
  if (json) writeJson(result);
  else writeLine(result.detached ? `detached ${name}` : `${name} is not attached here`);
  return Exit.ok;
}

export async function attachments({ socket, json }: LocalOptions): Promise<Exit> {
  const status = await callAgent(socket, LocalStatus, {});
  if (json) {
    writeJson(status);
    return Exit.ok;
  }
  writeLine(`agent       ${status.hostLabel}, controller ${status.controller}`);
  const { datapathType = '' } = status;
  writeLine(
    datapathType === 'linux-bridge' || datapathType === 'macvlan'
      ? `switch      ${datapathType}`
      : `bridge      ${status.bridge} (datapath ${status.datapathId}), Open vSwitch ${status.switch}`,
  );
  for (const problem of status.problems) writeLine(`problem     ${problem}`);
  const rows = status.attachments.map(({ endpoint, interface: port, netns, generation }) => [
    endpoint,
    port,
    netns,
    generation,
  ]);
  writeLine(
    rows.length === 0
      ? '\nnothing is attached'
      : `\n${table(['endpoint', 'port', 'namespace', 'generation'], rows)}`,
  );
  return Exit.ok;
}

function endpointOf(name: string): { tenant: string; network: string; endpoint: string } {
  const [tenant = '', network = '', endpoint = '', ...rest] = name.split('/');
  if (tenant === '' || network === '' || endpoint === '' || rest.length > 0) {
    throw new CommandError(Exit.usage, `"${name}" is no endpoint\n  fix: write TENANT/NETWORK/ENDPOINT`, {
      code: 'usage.name',
    });
  }
  return { tenant, network, endpoint };
}

async function callAgent<T extends RequestType>(
  path: string,
  type: T,
  params: ParamsOf<T>,
  deadlineMs = 30_000,
): Promise<ResultOf<T>> {
  const socket = await connect({ kind: 'unix', path }).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'EACCES' ? 'only root may' : 'no agent listens there';
    throw new CommandError(
      Exit.unreachable,
      `cannot speak to the agent at ${path}: ${reason}\n  fix: start one with "weft agent", or name its socket with --socket or WEFT_AGENT_SOCKET`,
      { code: 'agent.unreachable' },
    );
  });
  const peer = new Peer(socket, { router: new Router() });
  try {
    return await peer.call(type, params, { deadlineMs });
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    const { code, message, path: where, fix } = error;
    throw new CommandError(
      Exit.refused,
      [`${message} [${code}]`, where && `  at: ${where}`, fix && `  fix: ${fix}`].filter(Boolean).join('\n'),
      { code, path: where, fix },
    );
  } finally {
    peer.close('done');
  }
}
