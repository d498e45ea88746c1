/**
 * What is known of the fabric, as records that outlive the process, in the journal (`controller/journal/`):
 *
 *     switch/<datapathId>             its number; whether it was away
 *     port/<datapathId>/<port>        what it leads to, and whom it heard
 *     awaited/<datapathId>/<port>     the switch that was away when the port went down
 *     station/<VLAN>/<MAC>            where it is
 *     flood/<datapathId>              ports that flood, by class of VLANs
 *
 * All are written behind what they say but those of ports that flood, which are durable before any entry opens such a port (`flush`). Whatever
 * was not written in time makes a switch differ from what is remembered of it, and such a switch is not trusted (`Fabric.up`).
 */
import type { Journal, JournalValue } from '../journal/journal.js';
import type { DatapathId, StationFact } from '../model/facts.js';
import type { Reach } from './probes.js';
import type { PortRole } from './types.js';

export interface RememberedSwitch {
  readonly datapathId: DatapathId;
  /** 16 bits. */
  readonly number: number;
  readonly away: boolean;
}

export interface RememberedPort {
  readonly datapathId: DatapathId;
  readonly port: number;
  readonly name: string;
  readonly hardwareAddress: number;
  readonly role: PortRole;
  /** Ports that were heard here, `<datapathId>/<port>`, and by which probes; in the order of their keys. */
  readonly hears: readonly (readonly [key: string, reach: Reach])[];
  /** Its neighbour had gone silent a moment ago. */
  readonly quiet: boolean;
}

/** Ports of one switch that flood, one list for each class of VLANs. */
export interface RememberedFlooding {
  /** It may have these open. */
  readonly may: readonly (readonly number[])[];
  /** It has these open. */
  readonly sure: readonly (readonly number[])[];
}

export type FabricJournal = Pick<Journal, 'get' | 'entries' | 'put' | 'delete' | 'flush'>;

export class FabricMemory {
  readonly #journal: FabricJournal;

  /** @param journal Open. Absent: nothing is remembered. */
  constructor(journal: FabricJournal = NO_JOURNAL) {
    this.#journal = journal;
  }

  /** Resolves when all that was said before is durable. */
  flush(): Promise<void> {
    return this.#journal.flush();
  }

  *switches(): Generator<RememberedSwitch> {
    for (const [datapathId, value] of this.#records('switch')) {
      if (!isObject(value) || !isInteger(value['number'], 1, 0xffff)) continue;
      yield { datapathId, number: value['number'], away: value['away'] === true };
    }
  }

  putSwitch({ datapathId, number, away }: RememberedSwitch): void {
    this.#put(`switch/${datapathId}`, { number, ...(away ? { away } : {}) });
  }

  deleteSwitch(datapathId: DatapathId): void {
    this.#journal.delete(`switch/${datapathId}`);
  }

  *ports(): Generator<RememberedPort> {
    for (const [key, value] of this.#records('port')) {
      const [datapathId = '', port] = key.split('/');
      if (!isObject(value) || !isPort(Number(port))) continue;
      const { name, hardwareAddress, role, hears = [], quiet = false } = value;
      if (typeof name !== 'string' || !isInteger(hardwareAddress, 0, MAX_MAC) || !isRole(role)) continue;
      if (!isList(hears) || !hears.every(isHearing)) continue;
      yield { datapathId, port: Number(port), name, hardwareAddress, role, hears, quiet: quiet === true };
    }
  }

  putPort({ datapathId, port, hears, quiet, ...rest }: RememberedPort): void {
    const value = { ...rest, ...(hears.length > 0 ? { hears } : {}), ...(quiet ? { quiet } : {}) };
    this.#put(`port/${datapathId}/${port}`, value);
  }

  deletePort(datapathId: DatapathId, port: number): void {
    this.#journal.delete(`port/${datapathId}/${port}`);
  }

  /** Switches that are waited for, by key of the port that was linked to them. */
  *awaited(): Generator<readonly [key: string, datapathId: DatapathId]> {
    for (const [key, value] of this.#records('awaited')) if (typeof value === 'string') yield [key, value];
  }

  putAwaited(key: string, datapathId: DatapathId): void {
    this.#put(`awaited/${key}`, datapathId);
  }

  deleteAwaited(key: string): void {
    this.#journal.delete(`awaited/${key}`);
  }

  *stations(): Generator<StationFact> {
    for (const [key, value] of this.#records('station')) {
      const [vlanText, macText = ''] = key.split('/');
      const [vlan, mac] = [Number(vlanText), Number.parseInt(macText, 16)];
      if (!isInteger(vlan, 0, 0xfff) || !isInteger(mac, 1, MAX_MAC) || !isObject(value)) continue;
      const { number, datapathId, port } = value;
      if (!isInteger(number, 1, MAX_STATION) || typeof datapathId !== 'string' || !isPort(port)) continue;
      yield { vlan, mac, number, datapathId, port };
    }
  }

  /** @param key Of its fact. */
  putStation(key: string, { number, datapathId, port }: StationFact): void {
    this.#put(`station/${key}`, { number, datapathId, port });
  }

  deleteStation(key: string): void {
    this.#journal.delete(`station/${key}`);
  }

  flooding(datapathId: DatapathId): RememberedFlooding | undefined {
    const value = this.#journal.get(`flood/${datapathId}`);
    if (!isObject(value)) return undefined;
    const { may, sure = may } = value;
    return arePortLists(may) && arePortLists(sure) ? { may, sure } : undefined;
  }

  putFlooding(datapathId: DatapathId, { may, sure }: RememberedFlooding): void {
    const same = JSON.stringify(may) === JSON.stringify(sure);
    this.#put(`flood/${datapathId}`, same ? { may } : { may, sure });
  }

  deleteFlooding(datapathId: DatapathId): void {
    this.#journal.delete(`flood/${datapathId}`);
  }

  *#records(kind: string): Generator<readonly [key: string, value: JournalValue]> {
    const prefix = `${kind}/`;
    for (const [key, value] of this.#journal.entries(prefix)) yield [key.slice(prefix.length), value];
  }

  /** What stands there already is not written again. */
  #put(key: string, value: JournalValue): void {
    const before = this.#journal.get(key);
    if (before === undefined || JSON.stringify(before) !== JSON.stringify(value))
      this.#journal.put(key, value);
  }
}

const NO_JOURNAL: FabricJournal = {
  get: () => undefined,
  entries: () => [],
  put: () => {},
  delete: () => {},
  flush: () => Promise.resolve(),
};

const MAX_MAC = 0xffff_ffff_ffff;
/** Station numbers are 24 bits. */
const MAX_STATION = 0xff_ffff;
const ROLES: readonly unknown[] = ['unknown', 'edge', 'link', 'blocked'] satisfies PortRole[];

type Members = { readonly [member: string]: JournalValue };

const isList = (value: JournalValue | undefined): value is readonly JournalValue[] => Array.isArray(value);
const isObject = (value: JournalValue | undefined): value is Members =>
  typeof value === 'object' && value !== null && !isList(value);
const isRole = (value: JournalValue | undefined): value is PortRole => ROLES.includes(value);
const isPort = (value: JournalValue | undefined): value is number => isInteger(value, 1, 0xffff_ff00);
const isHearing = (value: JournalValue): value is readonly [string, Reach] =>
  isList(value) && typeof value[0] === 'string' && (value[1] === 'neighbour' || value[1] === 'segment');
const arePortLists = (value: JournalValue | undefined): value is readonly (readonly number[])[] =>
  isList(value) && value.every((ports) => isList(ports) && ports.every(isPort));

function isInteger(value: JournalValue | undefined, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}
