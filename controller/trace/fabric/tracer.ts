/** `weft trace` through the fabric: reads the entries that its switches hold and walks a frame and its answer through them. */
import type { FlowStats } from '../../../ofproto/index.js';
import type { SwitchSession } from '../../channel/index.js';
import type { TableDifferences } from '../../datapath/status.js';
import { formatMac } from '../../model/address.js';
import type { DatapathId } from '../../model/facts.js';
import { InstalledTables } from '../installed.js';
import { type Names, narrate } from '../narrate.js';
import { packetText, type Packet } from '../packet.js';
import type { TraceDifference, TraceOutcome } from '../report.js';
import { stepsOf } from '../steps.js';
import { dropReason } from '../verdict.js';
import {
  type FabricParty,
  type FabricPlace,
  type FabricProbe,
  fabricProbeOf,
  type FabricTraceFacts,
  type MacOf,
} from './probe.js';
import type {
  FabricTraceDelivery,
  FabricTraceLeg,
  FabricTraceParty,
  FabricTraceReport,
  FabricTraceRequest,
} from './report.js';
import {
  type FabricDeparture,
  FabricPorts,
  type FabricVisit,
  FabricWalk,
  MAX_FABRIC_VISITS,
} from './walk.js';

/** Milliseconds for each reply of a switch. */
const READ_TIMEOUT_MS = 10_000;
const MAX_STATIONS_TOLD = 10;

/** What a trace needs of the controller. */
export interface FabricTraceEnvironment extends Names {
  readonly facts: FabricTraceFacts;
  readonly macOf: MacOf;
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
export async function traceFabric(
  request: FabricTraceRequest,
  environment: FabricTraceEnvironment,
): Promise<FabricTraceReport> {
  const probe = fabricProbeOf(request, environment.facts, environment.macOf);
  return await new FabricTrace(probe, environment).run();
}

interface Outcome {
  readonly outcome: TraceOutcome;
  readonly reason?: string;
}

class FabricTrace {
  readonly #tables = new Map<DatapathId, InstalledTables | undefined>();
  readonly #ports: FabricPorts;

  constructor(
    private readonly probe: FabricProbe,
    private readonly environment: FabricTraceEnvironment,
  ) {
    this.#ports = new FabricPorts(environment.facts);
  }

  async run(): Promise<FabricTraceReport> {
    const { vlan, from, to, toMany, first, answer } = this.probe;
    const request = await this.#leg(from.place, first, toMany ? undefined : to);
    const back = request.outcome === 'allowed' && answer !== undefined ? to.place : undefined;
    const reply =
      back === undefined || answer === undefined ? undefined : await this.#leg(back, answer, from);
    return {
      ...this.#verdict(request, reply),
      vlan,
      from: partyView(from),
      to: partyView(to),
      request,
      ...(reply === undefined ? {} : { reply }),
      differences: await this.#differences(),
    };
  }

  /** @param receiver undefined: it is for many */
  async #leg(from: FabricPlace, packet: Packet, receiver: FabricParty | undefined): Promise<FabricTraceLeg> {
    const { facts } = this.environment;
    const walk = new FabricWalk(facts, this.#ports, (switchId) => this.#tablesOf(switchId), this.probe.vlan);
    const visits = await walk.run(from, packet);
    const deliveries = visits.flatMap((visit) => this.#deliveries(visit));
    const round: Outcome | undefined =
      visits.length < MAX_FABRIC_VISITS
        ? undefined
        : { outcome: 'lost', reason: `it meets ${MAX_FABRIC_VISITS} switches and more: copies go round` };
    const outcome =
      round ??
      (receiver === undefined
        ? this.#outcomeForMany(from, visits, deliveries)
        : this.#outcomeForOne(receiver, visits, deliveries));
    return {
      ...outcome,
      packet: packetText(packet),
      visits: visits.map(({ host, inPort, arrival, alternative, unseen, lookup, sentOn, departures }) => ({
        switch: host.name,
        inPort,
        arrival,
        alternative,
        ...(unseen === undefined ? {} : { unseen }),
        steps: narrate(this.environment, lookup, sentOn),
        departures: departures.map(({ port, to }) => ({ port, to })),
      })),
      deliveries,
    };
  }

  #deliveries({ host, departures, path }: FabricVisit): FabricTraceDelivery[] {
    return departures
      .filter(({ kind }) => kind === 'edge')
      .map(({ port, alternative }) => {
        const place = { datapathId: host.name, port };
        return {
          switch: host.name,
          port,
          name: this.#ports.get(place)?.name ?? '',
          stations: this.#ports.stations(place, this.probe.vlan).slice(0, MAX_STATIONS_TOLD),
          alternative,
          path: [...path, { switch: host.name, port }],
        };
      });
  }

  #outcomeForOne(
    { place, mac }: FabricParty,
    visits: readonly FabricVisit[],
    deliveries: readonly FabricTraceDelivery[],
  ): Outcome {
    const ended = visits.find(({ departures }) => departures.every(({ kind }) => !ARRIVES.has(kind)));
    if (place === undefined) {
      if (deliveries.length === 0) return this.#ended(ended ?? (visits.at(-1) as FabricVisit));
      const ports = deliveries.length === 1 ? '1 edge port' : `${deliveries.length} edge ports`;
      const where = `nobody knows where ${formatMac(mac)} is, so it is flooded to ${ports}`;
      return { outcome: 'lost', reason: where };
    }
    const isThere = (at: FabricTraceDelivery): boolean =>
      at.switch === place.datapathId && at.port === place.port;
    const elsewhere = deliveries.filter((at) => !isThere(at));
    if (ended !== undefined) {
      const told = this.#ended(ended);
      return ended.alternative ? { ...told, reason: `one of its ways ends: ${told.reason ?? ''}` } : told;
    }
    if (deliveries.some(isThere)) {
      // A copy that the switch chose on the way is one of several that it might be; all others are too many.
      const copies = deliveries.filter((at) => isThere(at) && !at.alternative).length;
      return copies > 1 ? { outcome: 'lost', reason: `${copies} copies arrive` } : { outcome: 'allowed' };
    }
    const where = elsewhere.map((at) => `${at.switch}/${at.port}`).join(', ');
    return {
      outcome: 'lost',
      reason: `it leaves by ${where === '' ? 'no port' : where}, and not to its receiver`,
    };
  }

  /** Broadcast reaches every port of a station once; how far a group reaches is for its receivers to say. */
  #outcomeForMany(
    from: FabricPlace,
    visits: readonly FabricVisit[],
    deliveries: readonly FabricTraceDelivery[],
  ): Outcome {
    const unseen = visits.find((visit) => visit.unseen !== undefined);
    if (unseen !== undefined) return this.#ended(unseen);
    const counts = new Map<string, number>();
    for (const { switch: datapathId, port } of deliveries) {
      const key = `${datapathId}/${port}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    const twice = [...counts].find(([, count]) => count > 1);
    if (twice !== undefined) return { outcome: 'lost', reason: `${twice[1]} copies arrive at ${twice[0]}` };
    if (this.probe.to.mac === BROADCAST) {
      const missing: string[] = [];
      for (const [key, { role, up }] of this.environment.facts.fabricPorts.entries()) {
        if (role === 'edge' && up && !counts.has(key) && key !== `${from.datapathId}/${from.port}`)
          missing.push(key);
      }
      if (missing.length > 0) return { outcome: 'lost', reason: `it does not reach ${missing.join(', ')}` };
    }
    return deliveries.length === 0 ? this.#ended(visits.at(-1) as FabricVisit) : { outcome: 'allowed' };
  }

  /** Why nothing comes of a visit. */
  #ended(visit: FabricVisit): Outcome {
    const { host, unseen, lookup, sentOn = [], departures } = visit;
    if (unseen !== undefined) return { outcome: 'unseen', reason: unseen };
    const steps = lookup === undefined ? [] : [lookup, ...sentOn];
    const [unknown] = steps.flatMap((step) => stepsOf(step, 'unknown'));
    if (unknown !== undefined) {
      return { outcome: 'lost', reason: `on ${host.name} it cannot be told further: ${unknown.what}` };
    }
    const left = departures.find(({ kind }) => kind === 'nobody');
    if (left !== undefined) return { outcome: 'lost', reason: `it leaves ${host.name} by ${left.to}` };
    const last = sentOn.flatMap((step) => stepsOf(step, 'lookup')).at(0) ?? lookup;
    const reason = dropReason(
      this.environment,
      { host, ...(last === undefined ? {} : { lookup: last }) },
      undefined,
    );
    return { outcome: 'dropped', reason };
  }

  #tablesOf(datapathId: DatapathId): InstalledTables | undefined {
    if (!this.#tables.has(datapathId)) {
      const session = this.environment.session(datapathId);
      const isUp = (port: number): boolean | undefined => this.#ports.get({ datapathId, port })?.up;
      const tables = session === undefined ? undefined : new InstalledTables(session, READ_TIMEOUT_MS, isUp);
      this.#tables.set(datapathId, tables);
    }
    return this.#tables.get(datapathId);
  }

  #verdict(
    request: FabricTraceLeg,
    reply: FabricTraceLeg | undefined,
  ): Pick<FabricTraceReport, 'outcome' | 'verdict'> {
    const { from, to, toMany, vlan } = this.probe;
    const tag = vlan === 0 ? '' : ` in VLAN ${vlan}`;
    const parties = `${partyName(from)} to ${partyName(to)}${tag}`;
    const said = (outcome: TraceOutcome, what: string): Pick<FabricTraceReport, 'outcome' | 'verdict'> => ({
      outcome,
      verdict: `${SAID[outcome]}: ${what}`,
    });
    const { outcome, reason = '' } = request;
    if (outcome !== 'allowed') return said(outcome, `${parties}: ${reason}`);
    if (toMany) {
      const { length } = request.deliveries;
      return said(
        'allowed',
        `${parties} arrives at ${length === 1 ? '1 edge port' : `${length} edge ports`}`,
      );
    }
    if (reply !== undefined && reply.outcome !== 'allowed') {
      return said(reply.outcome, `${parties} arrives, but its answer does not: ${reply.reason ?? ''}`);
    }
    const [arrived] = request.deliveries;
    const over = arrived?.path.map((hop) => hop.switch).join(', ') ?? '';
    const choice = arrived?.alternative === true ? ', or another way that a switch chooses' : '';
    return said('allowed', `${parties} arrives over ${over}${choice}, and so does the answer`);
  }

  async #differences(): Promise<TraceDifference[]> {
    const found: TraceDifference[] = [];
    for (const [datapathId, tables] of this.#tables) {
      if (tables === undefined) continue;
      const { difference, examples } = await this.environment.differences(
        datapathId,
        tables.flows,
        tables.tables,
      );
      if (Object.values(difference).some((count) => count > 0))
        found.push({ host: datapathId, ...difference, examples });
    }
    return found;
  }
}

const BROADCAST = 0xffff_ffff_ffff;
const ARRIVES: ReadonlySet<FabricDeparture['kind']> = new Set(['link', 'edge']);

const SAID: Readonly<Record<TraceOutcome, string>> = {
  allowed: 'allowed',
  dropped: 'dropped',
  rejected: 'rejected',
  unseen: 'not seen to the end',
  lost: 'does not arrive',
};

function partyView({ mac, address, place }: FabricParty): FabricTraceParty {
  return {
    mac: formatMac(mac),
    ...(address === undefined ? {} : { address: address.text }),
    ...(place === undefined ? {} : { switch: place.datapathId, port: place.port }),
  };
}

function partyName({ mac, address }: FabricParty): string {
  return address === undefined ? formatMac(mac) : address.text;
}
