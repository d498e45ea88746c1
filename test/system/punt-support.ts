/** Probes that say what a socket was told, and how soon; and a reader of what `weft watch drops` writes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { PacketEvent } from '../../controller/punt/types.js';
import type { LabNamespace } from '../../topologies/lab/index.js';

const WEFT = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

export interface Told {
  /** `ECONNREFUSED`; `connected` or `answer` where there was no error, `timeout` where there was nothing. */
  readonly outcome: string;
  /** From the first packet to the news. */
  readonly milliseconds: number;
}

const PROBE = `
import errno, json, socket, sys, time
kind, address, port, timeout = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
family = socket.AF_INET6 if ':' in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM if kind == 'tcp' else socket.SOCK_DGRAM)
s.settimeout(timeout)
began = time.monotonic()
try:
    s.connect((address, port))
    outcome = 'connected'
    if kind == 'udp':
        s.send(b'x')
        s.recv(100)
        outcome = 'answer'
except (TimeoutError, socket.timeout):
    outcome = 'timeout'
except OSError as error:
    outcome = errno.errorcode.get(error.errno, str(error))
print(json.dumps({'outcome': outcome, 'milliseconds': (time.monotonic() - began) * 1000}))
`;

/** Connects (TCP), or sends a datagram and waits for what comes of it (UDP). */
export async function probe(
  from: LabNamespace,
  kind: 'tcp' | 'udp',
  address: string,
  port: number,
  timeoutMs = 4_000,
): Promise<Told> {
  const argv = ['/usr/bin/python3', '-c', PROBE, kind, address, String(port), String(timeoutMs / 1000)];
  return JSON.parse(await from.exec(argv)) as Told;
}

const SERVER = `
import socket, sys, threading
def serve(connection):
    try:
        while connection.recv(4096): connection.send(b'y')
    except OSError as error:
        print('error', error.errno, flush=True)
for port in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('::', int(port)))
    s.listen()
    def accept(s=s):
        while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
print('listening', flush=True)
threading.Event().wait()
`;

/** A server that answers every read with a byte. Its log says 'listening', and 'error N' for connections that break. */
export function serve(on: LabNamespace, ...ports: number[]) {
  return on.spawn('server', ['/usr/bin/python3', '-c', SERVER, ...ports.map(String)]);
}

const CLIENT = `
import errno, socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
s.settimeout(20)
print('connected', flush=True)
try:
    while True:
        s.send(b'x')
        if not s.recv(100): break
        time.sleep(0.02)
    print('closed', flush=True)
except OSError as error:
    print('error', errno.errorcode.get(error.errno, error), flush=True)
`;

/** A connection that says something all the time. Its log says 'connected', then 'closed' or 'error NAME'. */
export function converse(from: LabNamespace, address: string, port: number) {
  return from.spawn(`client-${port}`, ['/usr/bin/python3', '-c', CLIENT, address, String(port)]);
}

/** `weft watch drops --json` with what it has written so far. */
export class WatchProcess {
  readonly #child: ChildProcess;
  #text = '';

  constructor(server: string, ...args: string[]) {
    const argv = [WEFT, 'watch', 'drops', '--json', '--server', server, ...args];
    this.#child = spawn(process.execPath, argv, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString();
    });
  }

  get packets(): readonly PacketEvent[] {
    return this.#text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as PacketEvent & { type: string })
      .filter(({ type }) => type === 'packet');
  }

  stop(): void {
    this.#child.kill();
  }
}
