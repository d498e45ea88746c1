/** A fleet of emulated switches in a process of its own: `node dist/topologies/emulated/main.js --help`. */
import { parseArgs } from 'node:util';
import { EmulatedFleet } from './emulated-fleet.js';

const USAGE = `Usage: main.js --controller HOST:PORT [--count N] [--first ID] [--ports N] [--port NAME=NUMBER]... [--store] [--reconnect MS] [--delay MS]

  --controller HOST:PORT  where the controller listens
  --count N               switches (default 1)
  --first ID              datapath id of the first, hexadecimal (default 1)
  --ports N               ports per switch, named p1 to pN (default 0)
  --port NAME=NUMBER      one more port per switch
  --store                 keep entries, so that they read back
  --reconnect MS          connect again this long after a connection is lost
  --delay MS              wait before every answer

Prints "connected N" when all are connected. Each line "counters" on standard input is answered with the sum of the counters as
JSON. Ends when standard input ends, or on SIGINT or SIGTERM.`;

const { values } = parseArgs({
  options: {
    controller: { type: 'string' },
    count: { type: 'string', default: '1' },
    first: { type: 'string', default: '1' },
    ports: { type: 'string', default: '0' },
    port: { type: 'string', multiple: true, default: [] },
    store: { type: 'boolean', default: false },
    reconnect: { type: 'string' },
    delay: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});

const [, host, port] = /^(.*):(\d+)$/.exec(values.controller ?? '') ?? [];
if (values.help || host === undefined || port === undefined) {
  console.log(USAGE);
  process.exit(values.help ? 0 : 2);
}

const numbered = Array.from({ length: Number(values.ports) }, (_, index) => `p${index + 1}=${index + 1}`);
const ports = [...numbered, ...values.port].map((text) => {
  const [name = '', number] = text.split('=');
  return { name, number: Number(number) };
});
const fleet = await EmulatedFleet.start({
  controller: { host: host.replace(/^\[|\]$/g, ''), port: Number(port) },
  count: Number(values.count),
  firstDatapathId: BigInt(`0x${values.first}`),
  store: values.store,
  delayMs: Number(values.delay),
  reconnectMs: values.reconnect === undefined ? false : Number(values.reconnect),
  ports: () => ports,
});
console.log(`connected ${fleet.switches.length}`);

const stop = (): void => {
  void fleet.stop().then(() => process.exit(0));
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
process.stdin.setEncoding('utf8');
process.stdin.on('end', stop);
let line = '';
process.stdin.on('data', (text: string) => {
  const lines = (line + text).split('\n');
  line = lines.pop() ?? '';
  for (const command of lines) if (command === 'counters') console.log(JSON.stringify(fleet.counters));
});
