/**
 * A rack comes back: 10,000 endpoints on 1,000 hosts ask to be attached at the same time, against endpoints that come one by one. Real
 * controller, hub and store; the switches are emulated. Measured by the processor time of the controller for each endpoint, which does not
 * depend on how long the others were waited for, and by the time to the last acknowledgement.
 *
 * The bench fails when an endpoint is not acknowledged.
 */
import { startAgents, type BenchAgent } from './agents.js';
import { startFleet } from './fleet.js';
import type { Result } from './harness.js';
import { WeftProcess } from './weft-process.js';

const HOSTS = 1_000;
const ENDPOINTS = 10_000;
const NETWORKS = 200;
/** Hosts that a network is on. */
const SPREAD = 50;
/** Endpoints that come one by one, before the storm and after it. */
const QUIET = 300;
const TENANT = 'acme';
/** What a storm may cost for each endpoint, as a multiple of a quiet one. */
const TARGET = 1.5;

interface Cost {
  /** Milliseconds of the controller's processor, and of the clock, for each endpoint. */
  readonly processor: number;
  readonly clock: number;
}

interface Place {
  readonly agent: BenchAgent;
  readonly network: string;
  readonly name: string;
  readonly port: string;
}

/** Each host has as many endpoints, of networks that are on `SPREAD` hosts each. */
function placesOf(agents: readonly BenchAgent[], count: number): Place[] {
  const places: Place[] = [];
  for (let index = 0; index < count; index++) {
    const agent = agents[index % agents.length] as BenchAgent;
    const round = Math.floor(index / agents.length);
    const network = Math.floor(((agent.number - 1) * NETWORKS) / HOSTS + round * (SPREAD / 5)) % NETWORKS;
    places.push({ agent, network: `n${network}`, name: `e${index}`, port: `p${round + 1}` });
  }
  return places;
}

async function costOf(weft: WeftProcess, count: number, work: () => Promise<unknown>): Promise<Cost> {
  const [before, begin] = [await weft.processorTime(), performance.now()];
  await work();
  const [clock, after] = [performance.now() - begin, await weft.processorTime()];
  return { processor: (after - before) / count, clock: clock / count };
}

const attach = ({ agent, network, name, port }: Place) => agent.attach(TENANT, network, name, port);

export async function run(): Promise<readonly Result[]> {
  const weft = await WeftProcess.start();
  const ends: (() => Promise<void>)[] = [() => weft.stop()];
  try {
    await weft.apply(
      [
        { kind: 'Tenant', name: TENANT },
        ...Array.from({ length: NETWORKS }, (_, index) => ({
          kind: 'Network' as const,
          tenant: TENANT,
          name: `n${index}`,
        })),
      ],
      'stored',
    );
    const agents = await startAgents(weft.hub, HOSTS);
    ends.push(async () => {
      for (const agent of agents) agent.close();
    });
    const fleet = startFleet({
      controller: `127.0.0.1:${weft.openflow.port}`,
      count: HOSTS,
      ports: 1 + Math.ceil((ENDPOINTS + QUIET) / HOSTS),
    });
    ends.push(() => fleet.end());
    await weft.inSync(HOSTS);
    const idle = await weft.residentKilobytes();
    const places = placesOf(agents, ENDPOINTS + QUIET);
    const [rack, single] = [places.slice(0, ENDPOINTS), places.slice(ENDPOINTS)];
    let slowest = 0;
    const storm = await costOf(weft, ENDPOINTS, () =>
      Promise.all(
        rack.map(async (place) => {
          slowest = Math.max(slowest, await attach(place));
        }),
      ),
    );
    const [peak, after] = [await weft.residentKilobytes('VmHWM'), await weft.residentKilobytes()];
    const quiet = await costOf(weft, QUIET, async () => {
      for (const place of single) await attach(place);
    });
    console.log(
      `storm: ${ENDPOINTS} endpoints on ${HOSTS} hosts acknowledged in ${(slowest / 1_000).toFixed(1)} s; ` +
        `memory ${mebibytes(idle)} before, ${mebibytes(peak)} at most, ${mebibytes(after)} after`,
    );
    const name = `endpoint of a storm of ${ENDPOINTS} on ${HOSTS} hosts`;
    const peer = 'Weft, one by one';
    return [
      {
        name: `${name}: processor time`,
        unit: 'ms',
        value: storm.processor,
        peer,
        peerValue: quiet.processor,
        better: 'lower',
        target: TARGET,
      },
      {
        name: `${name}: time`,
        unit: 'ms',
        value: storm.clock,
        peer,
        peerValue: quiet.clock,
        better: 'lower',
        target: TARGET,
      },
    ];
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

const mebibytes = (kilobytes: number): string => `${Math.round(kilobytes / 1_024)} MB`;
