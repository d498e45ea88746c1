/** CNI in the agent: the operations on a unix socket, and the files that lead runtimes there. */
import type { Logger } from '../logger.js';
import { installCni, type InstallOptions } from './install.js';
import { CniPlugin, type CniPluginOptions } from './plugin.js';
import { serveCni } from './server.js';

export type { CniAgent } from './plugin.js';
export type { CniRecord } from './records.js';

export interface CniSettings {
  /** Of the unix socket. */
  readonly socket: string;
  /** Absent: nothing is installed. */
  readonly install?: Pick<InstallOptions, 'root' | 'tenant' | 'network'>;
}

export interface RunningCni {
  /** Ends what waits, lets the rest finish, removes the socket. */
  close(): Promise<void>;
}

/** Serves, then installs: whoever finds the files finds the agent. Rejects with `agent.running`, `agent.cni.foreign`, `agent.cni.install`. */
export async function startCni(
  { socket, install }: CniSettings,
  options: CniPluginOptions & { readonly logger: Logger },
): Promise<RunningCni> {
  const plugin = new CniPlugin(options);
  const server = await serveCni(socket, plugin, options.logger);
  const close = (): Promise<void> => {
    plugin.stop();
    return server.close();
  };
  try {
    if (install !== undefined) await installCni({ ...install, socket, logger: options.logger });
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}
