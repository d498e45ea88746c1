/**
 * One endpoint added to a network: from the fact to the acknowledgement of all member switches, with 10, 100 and 1,000 hosts that
 * are emulated switches in another process. What is derived, encoded and counted as bytes must not grow with the cluster: the
 * bench fails when it does.
 *
 * The peers, in the same run and over the same sessions, are what a controller without scopes does: it is given the modifications
 * that Weft derived, and encodes each of them for each switch; once in bundles as Weft does, so that the difference is deriving and
 * sharing alone, and once as plain messages closed by a barrier, which is one round trip instead of two and not atomic.
 */
import { apps, pipeline } from '../apps/index.js';
import {
  ChannelListener,
  type Modification,
  type Numbering,
  type SwitchSession,
  type Transaction,
  TurnEncoder,
} from '../controller/channel/index.js';
import { DatapathController } from '../controller/datapath/controller.js';
import { type EndpointFact, TUNNEL_INTERFACE, TUNNEL_PORT } from '../controller/model/facts.js';
import { encode } from '../ofproto/index.js';
import { waitFor } from '../test/support/wait-for.js';
import { startFleet } from './fleet.js';
import { compare, inTurn, percentile, type Result, timed } from './harness.js';

const NETWORK = 'acme/web';
const SUBNET = 0x0a00_0000;
/** Number of the first endpoint that is added; those below it are there before. */
const FIRST_ADDED = 100_000;

/** Endpoint `number` of the network on a host. */
function endpoint(number: number, host: string, port: string): EndpointFact {
  return {
    id: `${NETWORK}/e${number}`,
    network: NETWORK,
    name: `e${number}`,
    number,
    mac: 0x0202_0000_0000 + SUBNET + number,
    ipv4: [SUBNET + number],
    ipv6: [],
    host,
    interface: port,
    generation: 1,
  };
}

/** One network over all hosts, with an endpoint on the first port of each. */
function populate({ facts }: DatapathController, hosts: number): void {
  facts.tenants.set('acme', { name: 'acme', number: 1 });
  facts.networks.set(NETWORK, {
    id: NETWORK,
    tenant: 'acme',
    name: 'web',
    number: 1,
    encapsulation: 'vxlan',
    tag: 10_001,
    ipv4: { address: SUBNET, prefixLength: 8 },
    uplinkHandOff: false,
  });
  const ports = [
    ['p1', 1],
    ['p2', 2],
    [TUNNEL_INTERFACE, TUNNEL_PORT],
  ] as const;
  for (let number = 1; number <= hosts; number++) {
    const host = `h${number}`;
    const datapathId = number.toString(16).padStart(16, '0');
    const vtepIpv4 = 0xac10_0000 + number;
    facts.hosts.set(host, { name: host, number, datapathId, vtepIpv4, tunnelPort: TUNNEL_INTERFACE });
    for (const [name, port] of ports) {
      facts.ports.set(`${datapathId}/${name}`, { datapathId, name, number: port, up: true });
    }
    const first = endpoint(number, host, 'p1');
    facts.endpoints.set(first.id, first);
  }
}

type Sent = ReadonlyMap<SwitchSession, Transaction>;

/** Keeps what the sessions are sent while it records. */
class Recorder {
  #sent: Map<SwitchSession, Transaction> | undefined;

  watch(session: SwitchSession): void {
    const transact = session.transact.bind(session);
    session.transact = (transaction) => {
      this.#sent?.set(session, transaction);
      return transact(transaction);
    };
  }

  start(): void {
    this.#sent = new Map();
  }

  stop(): Sent {
    const sent = this.#sent ?? new Map<SwitchSession, Transaction>();
    this.#sent = undefined;
    return sent;
  }
}

const modificationsOf = ({ chunks }: Transaction): readonly Modification[] =>
  chunks.flatMap((chunk) => chunk.modifications);

/** Each modification encoded for each switch, in a bundle of its own; resolves at the last barrier. */
async function bundleForEach(sent: Sent, numbering: Numbering): Promise<void> {
  const answers = [...sent].map(([session, transaction]) => {
    const encoder = new TurnEncoder(numbering);
    return session.transact(encoder.transaction({ chunks: encoder.chunks(modificationsOf(transaction)) }));
  });
  const results = await Promise.all(answers);
  if (!results.every(({ committed }) => committed)) throw new Error('a bundle was refused');
}

/** The same as plain messages. */
async function plainForEach(sent: Sent): Promise<void> {
  const barriers = [...sent].map(([session, transaction]) => {
    for (const modification of modificationsOf(transaction)) session.send(modification);
    return session.request({ type: 'barrier_request', xid: 0 });
  });
  await Promise.all(barriers);
}

/** What is done for one endpoint. */
interface Work {
  readonly members: number;
  readonly derivations: number;
  readonly entries: number;
  readonly bytes: number;
}
const NO_WORK: Work = { members: 0, derivations: 0, entries: 0, bytes: 0 };

function naiveWork(sent: Sent): Work {
  const modifications = [...sent.values()].flatMap(modificationsOf);
  const bytes = modifications.reduce((sum, modification) => sum + encode(modification).length, 0);
  return { members: sent.size, derivations: 0, entries: modifications.length, bytes };
}

/** Adds the endpoint; resolves when every member switch has acknowledged. Gives their number. */
async function add({ facts, settle }: Bound, added: EndpointFact): Promise<number> {
  facts.endpoints.set(added.id, added);
  const acknowledgements = [...(await settle().all()).values()];
  const failed = acknowledgements.find(({ ok }) => !ok);
  if (failed !== undefined) throw new Error(`${failed.datapathId} did not acknowledge: ${failed.reason}`);
  return acknowledgements.length;
}

interface Bound {
  readonly facts: DatapathController['facts'];
  readonly settle: DatapathController['settle'];
}

interface Measured {
  /** Milliseconds of each round. */
  readonly times: Readonly<Record<'weft' | 'bundles' | 'plain', readonly number[]>>;
  readonly work: Readonly<Record<'weft' | 'naive', Work>>;
}

async function measure(hosts: number, rounds: number): Promise<Measured> {
  const listener = new ChannelListener({ host: '127.0.0.1', port: 0 });
  const datapaths = new DatapathController({ pipeline, apps, numbering: listener.numbering });
  const recorder = new Recorder();
  populate(datapaths, hosts);
  datapaths.settle();
  listener.onUp((session) => {
    recorder.watch(session);
    datapaths.addSession(session);
  });
  listener.onDown((session) => {
    datapaths.removeSession(session);
  });
  const { port } = await listener.listen();
  const fleet = startFleet({ controller: `127.0.0.1:${port}`, count: hosts, ports: 2 });
  try {
    await waitFor(
      `${hosts} switches in sync`,
      () => datapaths.status().filter(({ state }) => state === 'in-sync').length === hosts,
      120_000,
    );
    const { facts } = datapaths;
    const controller = { facts, settle: () => datapaths.settle() };
    let round = 0;
    let sent: Sent = new Map();
    let work: { weft: Work; naive: Work } = { weft: NO_WORK, naive: NO_WORK };
    const times = await inTurn(rounds, {
      weft: async () => {
        round += 1;
        const added = endpoint(FIRST_ADDED + round, `h${1 + (round % hosts)}`, 'p2');
        const before = { ...datapaths.counters };
        recorder.start();
        let members = 0;
        const time = await timed(async () => {
          members = await add(controller, added);
        });
        const { derivationRuns, entriesEncoded, bytesEncoded } = datapaths.counters;
        const weft = {
          members,
          derivations: derivationRuns - before.derivationRuns,
          entries: entriesEncoded - before.entriesEncoded,
          bytes: bytesEncoded - before.bytesEncoded,
        };
        work = { ...work, weft };
        return time;
      },
      bundles: () => {
        sent = recorder.stop();
        return timed(() => bundleForEach(sent, listener.numbering));
      },
      plain: async () => {
        const time = await timed(() => plainForEach(sent));
        work = { ...work, naive: naiveWork(sent) };
        facts.endpoints.delete(`${NETWORK}/e${FIRST_ADDED + round}`);
        await datapaths.settle().all();
        return time;
      },
    });
    return { times, work };
  } finally {
    datapaths.close();
    await fleet.end();
    await listener.close();
  }
}

/** @throws when what is derived or encoded depends on the number of hosts */
export async function run({ sizes = [10, 100, 1_000], rounds = 200 } = {}): Promise<Result[]> {
  const peers = { bundles: 'a bundle for each switch', plain: 'plain messages for each switch' } as const;
  const better = 'lower';
  const results: Result[] = [];
  const works = new Map<string, number[]>();
  for (const hosts of sizes) {
    const { times, work } = await measure(hosts, rounds);
    const { weft, naive } = work;
    const name = (what: string) => `endpoint added, ${weft.members} switches: ${what}`;
    const row = (what: string, unit: string, value: number, peer: string, peerValue: number): void => {
      results.push({ name: name(what), unit, value, peer, peerValue, better });
    };
    for (const [kind, peer] of Object.entries(peers) as ['bundles' | 'plain', string][]) {
      results.push(compare(name('median'), 'ms', times.weft, peer, times[kind], { better }));
      row('p99', 'ms', percentile(0.99, times.weft), peer, percentile(0.99, times[kind]));
    }
    row('encoded', 'entries', weft.entries, peers.plain, naive.entries);
    row('encoded', 'bytes', weft.bytes, peers.plain, naive.bytes);
    const text = `${weft.derivations} derivations run, ${weft.entries} entries of ${weft.bytes} bytes encoded`;
    works.set(text, [...(works.get(text) ?? []), hosts]);
  }
  const lines = [...works].map(([text, hosts]) => `endpoint added, ${hosts.join(', ')} hosts: ${text}`);
  console.log(lines.join('\n'));
  if (works.size > 1) throw new Error('the work to add an endpoint depends on the number of hosts');
  return results;
}
