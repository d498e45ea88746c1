/**
 * Puts the front where runtimes look for plugins, and a network configuration list where they look for networks. Files of others are
 * not touched, nor are lists that people have made their own.
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AgentError, messageOf } from '../error.js';
import type { Logger } from '../logger.js';
import { FRONT_MARK, frontScript } from './front.js';
import { CNI_VERSIONS } from './protocol.js';

const FRONT = 'opt/cni/bin/weft';
/** Runtimes take the first list by name. */
const LIST = 'etc/cni/net.d/10-weft.conflist';
/** A member of the list; libcni passes over what it does not know. */
const LIST_MARK = 'weft.generated';

export interface InstallOptions {
  /** Folder that stands for `/`, such as the host's root in a container. */
  readonly root: string;
  /** Of the agent, as the host sees it. */
  readonly socket: string;
  /** Of the containers whose runtime names none. */
  readonly tenant: string;
  readonly network: string;
  readonly logger: Logger;
}

/** Rejects with `agent.cni.foreign`, `agent.cni.install`. */
export async function installCni(options: InstallOptions): Promise<void> {
  const { root, socket, logger } = options;
  const front = join(root, FRONT);
  const wanted = frontScript(socket);
  const there = await textOf(front);
  if (there !== undefined && !there.includes(FRONT_MARK)) {
    throw new AgentError('agent.cni.foreign', `${front} is somebody else's`, {
      path: 'installCni',
      fix: 'move it away, or install into another folder',
    });
  }
  await put(front, wanted, there, 0o755, logger);
  const list = join(root, LIST);
  const listed = await textOf(list);
  if (listed !== undefined && !listed.includes(`"${LIST_MARK}"`)) {
    logger.info({ event: 'cni.kept', path: list, reason: `it has no member ${LIST_MARK}` });
    return;
  }
  await put(list, configurationList(options), listed, 0o644, logger);
}

/** The newest version that every runtime of today speaks; those of 1.1 find it in `cniVersions`. */
function configurationList({ tenant, network }: InstallOptions): string {
  const list = {
    cniVersion: '1.0.0',
    cniVersions: CNI_VERSIONS.slice(CNI_VERSIONS.indexOf('0.4.0')),
    name: 'weft',
    [LIST_MARK]: 'remove this member, and the agent leaves the file as it is',
    plugins: [{ type: 'weft', tenant, network, capabilities: { bandwidth: true, ips: true, mac: true } }],
  };
  return `${JSON.stringify(list, undefined, 2)}\n`;
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw failed(path, error);
  }
}

/** In one step, so that nobody ever starts half a script. */
async function put(
  path: string,
  wanted: string,
  there: string | undefined,
  mode: number,
  logger: Logger,
): Promise<void> {
  if (there === wanted) {
    logger.info({ event: 'cni.unchanged', path });
    return;
  }
  // Of a dotted name: runtimes pass over it.
  const fresh = join(dirname(path), `.weft-${process.pid}.new`);
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(fresh, 'w', mode);
    try {
      await file.writeFile(wanted);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
  } catch (error) {
    throw failed(path, error);
  }
  logger.info({ event: there === undefined ? 'cni.installed' : 'cni.replaced', path });
}

const failed = (path: string, error: unknown): AgentError =>
  new AgentError('agent.cni.install', `cannot install ${path}: ${messageOf(error)}`, {
    path: 'installCni',
    fix: 'run the agent as root, or install into another folder',
    cause: error,
  });
