/** `weft controller`. */
import { ConfigError } from '../../controller/config/load.js';
import { runController } from '../../controller/process.js';
import { AccessError } from '../../controller/kubernetes/access.js';
import { StoreError } from '../../controller/store/store.js';
import { CommandError, Exit } from '../exit.js';
import { version } from '../version.js';

export interface ControllerCommandOptions {
  readonly openflow?: string;
  readonly hub?: string;
  readonly http?: string;
  readonly data?: string;
  readonly store?: string;
  readonly etcd?: readonly string[];
  readonly config?: string;
  readonly logLevel?: string;
  readonly kubernetes?: string | true;
  readonly logFormat?: 'json' | 'text';
}

export async function controller(options: ControllerCommandOptions): Promise<Exit> {
  const { config, logFormat, ...overrides } = options;
  try {
    await runController({ configFile: config, logFormat, overrides, version: version() });
    return Exit.ok;
  } catch (error) {
    throw explained(error);
  }
}

function explained(error: unknown): unknown {
  if (error instanceof ConfigError) return new CommandError(Exit.usage, error.message);
  if (error instanceof AccessError) return new CommandError(Exit.usage, error.message);
  if (error instanceof StoreError) {
    return new CommandError(
      Exit.error,
      `${error.message}${error.fix === undefined ? '' : `\n  fix: ${error.fix}`}`,
    );
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL') {
    return new CommandError(
      Exit.error,
      `cannot listen: ${message}\n  fix: end what listens there (ss -ltnp shows it), or choose other addresses with --openflow, --hub, --http`,
    );
  }
  return error;
}
