/** Errors of the agent and the controller as a runtime understands them. */
import { messageOf } from '../error.js';
import { CniCode, CniError } from './protocol.js';

/** Errors whose cause goes by itself: somebody is away, or what was waited for has not come in time. */
const TRANSIENT = new Set([
  'agent.disconnected',
  'endpoint.undeclared',
  'endpoint.unknown',
  'hub.gone',
  'hub.unregistered',
  'port.unknown',
  'rpc.busy',
  'rpc.cancelled',
  'rpc.closed',
  'rpc.deadline',
  'switch.disconnected',
  'switch.reading',
  'switch.silent',
]);

const CODES: Readonly<Record<string, CniCode>> = {
  'agent.namespace.missing': CniCode.invalidEnvironment,
  'agent.interface.exists': CniCode.exists,
  'agent.command.failed': CniCode.io,
  'agent.port.failed': CniCode.io,
  'network.unknown': CniCode.invalidConfiguration,
};

/** `subject`: what it was about, for an error that says nothing of it. */
export function cniErrorOf(error: unknown, subject: string): CniError {
  if (error instanceof CniError) return error;
  const { code, path, fix } = (error ?? {}) as { code?: unknown; path?: unknown; fix?: unknown };
  // Names with a dot are of errors that were written for people.
  if (typeof code !== 'string' || !code.includes('.')) {
    return new CniError(CniCode.internal, `${subject}: ${messageOf(error)}`, 'see the log of the agent');
  }
  const details = [
    `[${code}]`,
    ...(typeof path === 'string' ? [`at: ${path}`] : []),
    ...(typeof fix === 'string' ? [`fix: ${fix}`] : []),
  ].join(' ');
  const cniCode = TRANSIENT.has(code) ? CniCode.tryAgainLater : (CODES[code] ?? CniCode.refused);
  return new CniError(cniCode, `${subject}: ${messageOf(error)}`, details);
}
