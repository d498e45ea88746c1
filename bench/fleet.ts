/** Emulated switches (topologies/emulated) in a process of their own, which ends with the bench. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { TUNNEL_INTERFACE, TUNNEL_PORT } from '../controller/model/facts.js';

export interface FleetOptions {
  /** Where the controller listens, `ADDRESS:PORT`. */
  readonly controller: string;
  readonly count: number;
  /** Datapath id of the first; default 1. */
  readonly first?: number;
  /** Ports of each, named p1 to pN, besides the tunnel's. */
  readonly ports: number;
  /** Keep entries, so that they are read back; default false. */
  readonly store?: boolean;
  /** Milliseconds after which a lost connection is tried again; default: never. */
  readonly reconnectMs?: number;
}

/** `end` resolves when the process is gone. */
export function startFleet({
  controller,
  count,
  first = 1,
  ports,
  store = false,
  reconnectMs,
}: FleetOptions): {
  readonly end: () => Promise<void>;
} {
  const main = fileURLToPath(new URL('../topologies/emulated/main.js', import.meta.url));
  const which = ['--controller', controller, '--count', `${count}`, '--first', first.toString(16)];
  const portOptions = ['--ports', `${ports}`, '--port', `${TUNNEL_INTERFACE}=${TUNNEL_PORT}`];
  const further = [
    ...(store ? ['--store'] : []),
    ...(reconnectMs === undefined ? [] : ['--reconnect', `${reconnectMs}`]),
  ];
  const child: ChildProcess = spawn(process.execPath, [main, ...which, ...portOptions, ...further], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const gone = once(child, 'exit');
  return {
    end: async () => {
      child.stdin?.end();
      await gone;
    },
  };
}
