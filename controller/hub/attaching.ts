import type { Clock } from '../../rpc/index.js';
import { HubError } from './errors.js';
import type { TableDeliveries } from './host-tables.js';
import type { HubSwitches, HubTurn, SwitchAnswer } from './types.js';

/** A signal that aborts with its parent or after `ms`, whichever comes first. `release` stops the timer. */
export function deadline(clock: Clock, ms: number, parent?: AbortSignal) {
  const controller = new AbortController();
  const abort = () => {
    controller.abort();
  };
  if (parent?.aborted === true) abort();
  parent?.addEventListener('abort', abort, { once: true });
  const stopTimer = clock.after(ms, abort);
  const release = () => {
    stopTimer();
    parent?.removeEventListener('abort', abort);
  };
  return { signal: controller.signal, release };
}

/** Settles like `promise`, or rejects when the signal aborts. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort);
    });
  });
}

export interface HomeSwitch {
  readonly host: string;
  readonly datapathId: string;
  readonly interface: string;
  readonly endpoint: string;
  /** Of the endpoint: what entries about it are known by. */
  readonly number: number;
}

const STANDS =
  'the attachment stands and is completed without you; call endpoint.attach again to wait, or endpoint.detach to give up';

/**
 * Waits until the home switch has acknowledged everything that was derived up to now, across its reconnects. `onTurn` sees
 * each turn before it is waited for; the last one is the one that was acknowledged.
 * @throws HubError `switch.disconnected`, `switch.reading`, `port.unknown`, `switch.silent` when the signal aborts before,
 * `endpoint.refused` when the switch refuses an entry
 */
export async function acknowledgedByHome(
  switches: HubSwitches,
  home: HomeSwitch,
  signal: AbortSignal,
  onTurn: (turn: HubTurn) => void,
): Promise<void> {
  const { datapathId } = home;
  for (;;) {
    let answer: SwitchAnswer;
    try {
      await switches.waitForSync(datapathId, { signal });
      await switches.waitForPort(datapathId, home.interface, { signal });
      const turn = await switches.settle();
      onTurn(turn);
      answer = await abortable(turn.acknowledged(datapathId), signal);
    } catch (error) {
      if (signal.aborted) throw late(switches, home);
      throw error;
    }
    if (answer.ok) {
      // What was refused while the switch was brought into line, or to an attach before this one, belongs to no turn of now.
      const before = switches
        .refusals(datapathId)
        .filter(({ object }) => object?.kind === 'endpoint' && object.number === home.number);
      if (before.length > 0) throw refused(home, { ...answer, refused: before });
      return;
    }
    if (answer.reason !== 'disconnected' && answer.reason !== 'unreadable') throw refused(home, answer);
    if (signal.aborted) throw late(switches, home);
  }
}

/**
 * The same for a host without OpenFlow: waits until its agent has taken the table with the endpoint.
 * @throws HubError `switch.silent` when the signal aborts before, `switch.disconnected`, `endpoint.refused` when the host cannot forward for it
 */
export async function acknowledgedByTable(
  switches: HubSwitches,
  tables: Pick<TableDeliveries, 'acknowledged' | 'refusalOf'>,
  { host, endpoint }: Pick<HomeSwitch, 'host' | 'endpoint'>,
  signal: AbortSignal,
  onTurn: (turn: HubTurn) => void,
): Promise<void> {
  let answer: SwitchAnswer;
  try {
    onTurn(await abortable(switches.settle(), signal));
    answer = await abortable(tables.acknowledged(host), signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new HubError(
      'switch.silent',
      `host ${host} did not take its table in time; ${endpoint} waits for it`,
      {
        fix: `see the log of its agent; ${STANDS}`,
      },
    );
  }
  if (answer.reason === 'disconnected') {
    throw new HubError(
      'switch.disconnected',
      `the agent of host ${host} went away; ${endpoint} waits for it`,
      {
        fix: STANDS,
      },
    );
  }
  const reason = tables.refusalOf(host, endpoint);
  if (reason === undefined) return;
  throw new HubError('endpoint.refused', `host ${host} cannot forward for ${endpoint}: ${reason}`, {
    fix: 'attach it on a host whose switch can (docs/switches.md); the attachment stands, closed',
  });
}

/** What was missing when the time was up. */
function late(switches: HubSwitches, { host, datapathId, interface: name, endpoint }: HomeSwitch): HubError {
  const at = `switch of host ${host} (datapath ${datapathId})`;
  switch (switches.connection(datapathId)) {
    case 'disconnected':
      return new HubError('switch.disconnected', `${at} is not connected; ${endpoint} waits for it`, {
        fix: `point the bridge's controller to this one (ovs-vsctl set-controller); ${STANDS}`,
      });
    case 'reading':
      return new HubError('switch.reading', `${at} is still being read; ${endpoint} waits for it`, {
        fix: `give a longer deadlineMs; ${STANDS}`,
      });
    case 'ready':
      return new HubError('port.unknown', `${at} has no port ${name}, or did not acknowledge it in time`, {
        path: 'interface',
        fix: `add interface ${name} to the bridge; ${STANDS}`,
      });
  }
}

function refused({ host, datapathId, endpoint }: HomeSwitch, answer: SwitchAnswer): HubError {
  const [first] = answer.refused;
  const at = `switch of host ${host} (datapath ${datapathId})`;
  if (first === undefined) {
    return new HubError(
      'endpoint.refused',
      `${at} did not take the entries of ${endpoint}: ${answer.reason ?? 'no reason'}`,
    );
  }
  const more = answer.refused.length > 1 ? ` and ${answer.refused.length - 1} more` : '';
  return new HubError(
    'endpoint.refused',
    `${at} refused an entry of ${first.owner} with ${first.error}: ${first.entry}${more}`,
    { fix: 'see weft status for what the switch refuses; the attachment stands' },
  );
}
