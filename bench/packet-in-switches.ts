/**
 * Switches that do nothing but send packet-ins as fast as the controller takes them, and count its packet-outs: what cbench does, for
 * OpenFlow 1.3. A process of its own, started by fabric-packet-in.ts; a command is a line of JSON on its standard input, the answer a line
 * on its standard output.
 *
 *     node packet-in-switches.js ADDRESS PORT SWITCHES FORMAT
 *
 *     {"command": "learn"}                         every station sends until the controller has answered each once
 *     {"command": "known", "milliseconds": 3000}   packets between those stations, the pipe full
 *     {"command": "single", "milliseconds": 3000}  the same of one switch, each packet after the answer to the one before
 *     {"command": "new", "stations": 60000}        as many new stations send one packet each
 *
 * FORMAT is what the controller asks a real switch for: `packet_in`, or `nx_packet_in2` with what Open vSwitch puts into it.
 */
import { createInterface } from 'node:readline';
import { encodeFabricPunt, STATION_TABLE } from '../apps/fabric/punt.js';
import { encode, F, type Message, NO_BUFFER, oxm, PacketInReason } from '../ofproto/index.js';
import { EmulatedFleet, type EmulatedSwitch } from '../topologies/emulated/index.js';

/** What a run has counted, and how long it took. */
export interface PacketInRun {
  readonly packetIns: number;
  readonly packetOuts: number;
  readonly flowMods: number;
  readonly milliseconds: number;
}

const PORTS = 4;
const STATIONS_PER_PORT = 16;
/** Packet-ins of one write, and bytes that may wait to be taken before the next. */
const BURST = 256;
const FULL_BYTES = 128 * 1024;
/** Short frames, as those of cbench. */
const FRAME_BYTES = 82;
const TIMEOUT_MS = 60_000;

/** A UDP packet between two stations. */
function frame(source: number, destination: number): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, destination / 0x1_0000_0000);
  view.setUint32(2, destination);
  view.setUint16(6, source / 0x1_0000_0000);
  view.setUint32(8, source);
  bytes.set([0x08, 0x00, 0x45, 0, 0, FRAME_BYTES - 14, 0, 0, 0, 0, 64, 17], 12);
  view.setUint32(26, 0x0a00_0000 + (source % 0x1_0000));
  view.setUint32(30, 0x0a00_0000 + (destination % 0x1_0000));
  return bytes;
}

function packetIn(format: string, inPort: number, data: Uint8Array): Uint8Array {
  const common = { xid: 0, tableId: STATION_TABLE, cookie: 0x5741_0001_0000_0000n };
  const message: Message =
    format === 'nx_packet_in2'
      ? {
          type: 'nx_packet_in2',
          ...common,
          packet: data,
          reason: PacketInReason.ACTION,
          metadata: [oxm(F.in_port, inPort), oxm(F.reg0, 0x8000)],
          userdata: encodeFabricPunt('station'),
        }
      : {
          type: 'packet_in',
          ...common,
          bufferId: NO_BUFFER,
          totalLength: data.length,
          reason: PacketInReason.NO_MATCH,
          match: [oxm(F.in_port, inPort)],
          data,
        };
  return encode(message).slice();
}

/** Stations of a switch are numbered through its ports; all addresses are locally administered. */
const stationMac = (at: number, station: number): number => 0x0202_0000_0000 + at * 0x1_0000 + station;
const portOf = (station: number): number => 1 + (station % PORTS);
const STATIONS = PORTS * STATIONS_PER_PORT;

const [host = '', port, count, format = ''] = process.argv.slice(2);
const fleet = await EmulatedFleet.start({
  controller: { host, port: Number(port) },
  count: Number(count),
  firstDatapathId: 1n,
  store: false,
  ports: () => Array.from({ length: PORTS }, (_, index) => ({ number: index + 1, name: `p${index + 1}` })),
});
const { switches } = fleet;

/** From each station of a switch to the next one of the same switch, the one after it, and so on. */
const loads = switches.map((_, at) =>
  Buffer.concat(
    Array.from({ length: BURST }, (_, index) => {
      const source = index % STATIONS;
      const destination = (source + 1 + Math.floor(index / STATIONS)) % STATIONS;
      return packetIn(format, portOf(source), frame(stationMac(at, source), stationMac(at, destination)));
    }),
  ),
);

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Runs the work and tells what was counted meanwhile. */
async function counting(work: () => Promise<number>): Promise<PacketInRun> {
  const before = fleet.counters;
  const start = performance.now();
  const packetIns = await work();
  const milliseconds = performance.now() - start;
  const after = fleet.counters;
  return {
    packetIns,
    packetOuts: after.packetOuts - before.packetOuts,
    flowMods: after.flowMods - before.flowMods,
    milliseconds,
  };
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${TIMEOUT_MS} ms`);
    await pause(1);
  }
}

/** Ports are in use a while after the switch has connected: frames before are not answered. */
async function learn(): Promise<PacketInRun> {
  return await counting(async () => {
    let packetIns = 0;
    await until('an answer to every station', () => {
      const silent = switches.filter(({ counters }) => counters.packetOuts < 2 * BURST);
      for (const one of silent) {
        if (one.pendingBytes > 0) continue;
        one.sendBytes(loads[switches.indexOf(one)] ?? new Uint8Array(0));
        packetIns += BURST;
      }
      return silent.length === 0;
    });
    return packetIns;
  });
}

async function known(milliseconds: number): Promise<PacketInRun> {
  return await counting(async () => {
    let packetIns = 0;
    const end = performance.now() + milliseconds;
    while (performance.now() < end) {
      let full = 0;
      for (const [at, one] of switches.entries()) {
        if (one.pendingBytes > FULL_BYTES) full++;
        else {
          one.sendBytes(loads[at] ?? new Uint8Array(0));
          packetIns += BURST;
        }
      }
      await (full === switches.length ? pause(1) : turn());
    }
    return packetIns;
  });
}

/** One packet at a time. The answer is looked for in every turn of the event loop: waiting costs both contenders the same. */
async function single(milliseconds: number): Promise<PacketInRun> {
  const [one] = switches;
  if (one === undefined) throw new Error('no switch');
  const [first, second] = [
    frame(stationMac(0, 0), stationMac(0, 1)),
    frame(stationMac(0, 1), stationMac(0, 0)),
  ];
  const packets = [packetIn(format, portOf(0), first), packetIn(format, portOf(1), second)] as const;
  return await counting(async () => {
    const end = performance.now() + milliseconds;
    let packetIns = 0;
    for (; performance.now() < end; packetIns++) {
      const answered = one.counters.packetOuts + 1;
      one.sendBytes(packetIns % 2 === 0 ? packets[0] : packets[1]);
      while (one.counters.packetOuts < answered) await turn();
    }
    return packetIns;
  });
}

let introduced = STATIONS;

/** Each sends to a known station; done when the last of them has been answered. */
async function newStations(stations: number): Promise<PacketInRun> {
  const each = Math.floor(stations / switches.length);
  const first = introduced;
  introduced += each;
  const packets = switches.map((_, at) =>
    Array.from({ length: each }, (_, index) => {
      const station = first + index;
      return packetIn(
        format,
        portOf(station),
        frame(stationMac(at, station), stationMac(at, index % STATIONS)),
      );
    }),
  );
  return await counting(async () => {
    const wanted = switches.map(({ counters }) => counters.packetOuts + each);
    for (let index = 0; index < each; index += BURST) {
      for (const [at, one] of switches.entries()) {
        await roomIn(one);
        one.sendBytes(Buffer.concat(packets[at]?.slice(index, index + BURST) ?? []));
      }
      await turn();
    }
    await until('an answer to every new station', () =>
      switches.every(({ counters }, at) => counters.packetOuts >= (wanted[at] ?? 0)),
    );
    return each * switches.length;
  });
}

async function roomIn(one: EmulatedSwitch): Promise<void> {
  while (one.pendingBytes > FULL_BYTES) await pause(1);
}

interface Command {
  readonly command: 'learn' | 'known' | 'single' | 'new';
  readonly milliseconds?: number;
  readonly stations?: number;
}

console.log(JSON.stringify({ connected: switches.length }));
for await (const line of createInterface({ input: process.stdin })) {
  const { command, milliseconds = 1_000, stations = 1_000 } = JSON.parse(line) as Command;
  const work = {
    learn,
    known: () => known(milliseconds),
    single: () => single(milliseconds),
    new: () => newStations(stations),
  };
  console.log(JSON.stringify(await work[command]()));
}
await fleet.stop();
