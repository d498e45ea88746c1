/** `weft trace`: reads the entries that the switches hold and walks a packet and its answer through them. */
import type { DatapathId, HostFact } from '../model/facts.js';
import type { SwitchSession } from '../channel/index.js';
import type { FactInputs } from '../datapath/index.js';
import type { TableDifferences } from '../datapath/status.js';
import { CtState, type FlowStats } from '../../ofproto/index.js';
import { asNew, asPartOf } from './connection.js';
import { decisionsOf } from './decisions.js';
import { TraceError } from './error.js';
import { InstalledTables } from './installed.js';
import { narrateVisit, type Names } from './narrate.js';
import { packetText, type Packet } from './packet.js';
import { formatAddress, type Party, type Probe, probeOf } from './probe.js';
import type {
  TraceDifference,
  TraceLeg,
  TraceOutcome,
  TraceParty,
  TraceReport,
  TraceRequest,
} from './report.js';
import { stepsOf } from './steps.js';
import { outcomeOf, reasons } from './verdict.js';
import { type HostConnection, type Visit, Walk } from './walk.js';
import { formatMac } from '../model/address.js';

/** Milliseconds for each reply of a switch. */
const READ_TIMEOUT_MS = 10_000;

/** What a trace needs of the controller. */
export interface TraceEnvironment extends Names {
  readonly facts: FactInputs;
  /** Undefined while the switch is not connected. */
  session(datapathId: DatapathId): Pick<SwitchSession, 'datapathId' | 'multipart' | 'xid'> | undefined;
  /** How these entries, all that a switch holds in these tables, differ from what it should hold there. */
  differences(
    datapathId: DatapathId,
    flows: readonly FlowStats[],
    tables: ReadonlySet<number>,
  ): Promise<TableDifferences>;
}

/** @throws TraceError where the request cannot be traced as it stands */
export async function trace(request: TraceRequest, environment: TraceEnvironment): Promise<TraceReport> {
  const probe = probeOf(request, environment.facts);
  return await new Trace(probe, environment).run();
}

class Trace {
  readonly #tables = new Map<string, InstalledTables | undefined>();
  /** `<host>/<zone>` where the first packet was remembered. */
  readonly #remembered = new Set<string>();

  constructor(
    private readonly probe: Probe,
    private readonly environment: TraceEnvironment,
  ) {}

  async run(): Promise<TraceReport> {
    const { probe } = this;
    const { from, to, first, answer, network, service, family } = probe;
    checkEntry(from);
    const request = await this.#leg(from, to, first, () => ({ state: 'new', track: asNew }));
    const answered = request.leg.outcome === 'allowed' && answer !== undefined;
    for (const visit of request.visits) this.#remember(visit);
    const reply = answered ? await this.#leg(to, from, answer, (host) => this.#answerOn(host)) : undefined;
    const legs = { request: request.leg, ...(reply === undefined ? {} : { reply: reply.leg }) };
    return {
      ...this.#verdict(request.leg, reply?.leg),
      from: partyView(from, family),
      to: partyView(to, family),
      network: network.id,
      service,
      ...legs,
      differences: await this.#differences(),
    };
  }

  async #leg(
    sender: Party,
    receiver: Party,
    packet: Packet,
    connection: (host: HostFact) => HostConnection,
  ): Promise<{ readonly leg: TraceLeg; readonly visits: readonly Visit[] }> {
    const { facts } = this.environment;
    const way = { tables: (host: HostFact) => this.#tablesOf(host), connection, facts };
    const visits = await new Walk(way, this.probe).run(sender, receiver, packet);
    const decisions = visits.flatMap((visit) => decisionsOf(this.environment, facts, visit));
    const { outcome, reason } = outcomeOf(this.environment, visits, receiver, decisions);
    return {
      visits,
      leg: {
        outcome,
        packet: packetText(packet),
        decisions,
        visits: visits.map((visit) => narrateVisit(this.environment, visit)),
        ...(reason === undefined ? {} : { reason }),
      },
    };
  }

  #tablesOf({ name, datapathId }: HostFact): InstalledTables | undefined {
    if (!this.#tables.has(name)) {
      const session = datapathId === undefined ? undefined : this.environment.session(datapathId);
      const tables = session === undefined ? undefined : new InstalledTables(session, READ_TIMEOUT_MS);
      this.#tables.set(name, tables);
    }
    return this.#tables.get(name);
  }

  #remember({ host, lookup }: Visit): void {
    if (lookup === undefined) return;
    for (const { zone, commit } of stepsOf(lookup, 'track')) {
      if (commit) this.#remembered.add(`${host.name}/${zone}`);
    }
  }

  /** Where the first packet was remembered the answer is part of its connection; elsewhere it begins one. */
  #answerOn({ name }: HostFact): HostConnection {
    const part = asPartOf(this.probe.first, CtState.ESTABLISHED | CtState.REPLY);
    const known = [...this.#remembered].some((key) => key.startsWith(`${name}/`));
    return {
      state: known ? 'est,rpl' : 'new',
      track: (packet, zone) =>
        this.#remembered.has(`${name}/${zone}`) ? part(packet, zone) : asNew(packet, zone),
    };
  }

  #verdict(request: TraceLeg, reply: TraceLeg | undefined): { outcome: TraceOutcome; verdict: string } {
    const { from, to, service, family } = this.probe;
    const parties = `${service} from ${partyName(from, family)} to ${partyName(to, family)}`;
    if (request.outcome !== 'allowed') {
      return {
        outcome: request.outcome,
        verdict: `${SAID[request.outcome]}: ${parties}: ${request.reason ?? ''}`,
      };
    }
    if (reply !== undefined && reply.outcome !== 'allowed') {
      const { outcome, reason = '' } = reply;
      return { outcome, verdict: `${SAID[outcome]}: ${parties} arrives, but its answer does not: ${reason}` };
    }
    const why = request.decisions.length === 0 ? 'no policy judges it' : reasons(request.decisions);
    const answered = reply === undefined ? '' : ', and so does the answer';
    return { outcome: 'allowed', verdict: `allowed: ${parties} arrives${answered}: ${why}` };
  }

  async #differences(): Promise<TraceDifference[]> {
    const found: TraceDifference[] = [];
    for (const [host, tables] of this.#tables) {
      const datapathId = this.environment.facts.hosts.get(host)?.datapathId;
      if (tables === undefined || datapathId === undefined) continue;
      const { difference, examples } = await this.environment.differences(
        datapathId,
        tables.flows,
        tables.tables,
      );
      if (Object.values(difference).some((count) => count > 0)) found.push({ host, ...difference, examples });
    }
    return found;
  }
}

const SAID: Readonly<Record<TraceOutcome, string>> = {
  allowed: 'allowed',
  dropped: 'dropped',
  rejected: 'rejected',
  unseen: 'not seen to the end',
  lost: 'does not arrive',
};

function checkEntry({ endpoint, place }: Party): void {
  if (endpoint === undefined || place === undefined || place.port !== undefined) return;
  throw new TraceError(
    'trace.endpoint.no-port',
    `${endpoint.id} is attached as ${place.interface} on host ${place.host.name}, whose switch has told of no such port`,
    {
      path: 'from',
      fix: `see that the switch of ${place.host.name} is connected and has the port: "weft status"`,
    },
  );
}

function partyView({ endpoint, address, mac, place }: Party, family: 4 | 6): TraceParty {
  return {
    ...(endpoint === undefined ? {} : { endpoint: endpoint.id }),
    address: formatAddress(address, family),
    mac: formatMac(mac),
    ...(place === undefined ? {} : { host: place.host.name }),
  };
}

function partyName({ endpoint, address }: Party, family: 4 | 6): string {
  return endpoint?.id ?? formatAddress(address, family);
}
