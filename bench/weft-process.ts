/** A `weft controller` in a process of its own, and a client of its HTTP API that stays connected. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'undici';
import type { IntentObject, Kind } from '../controller/model/intents.js';
import { type Address, parseAddress } from '../rpc/index.js';
import { waitFor } from '../test/support/wait-for.js';
import { Daemon } from '../topologies/lab/process.js';

const TIMEOUT_MS = 120_000;

/**
 * Audits are off: emulated switches keep no entries, so reading them back would find all of them missing. Nor do leases run out:
 * the benches have no agents that renew them.
 */
const configuration = (address: string, openflowPort: number, packetInsPerSecond: number): string => `
openflow: {listen: "${address}:${openflowPort}", auditIntervalMs: 86400000, packetInsPerSecond: ${packetInsPerSecond}}
hub: {listen: "${address}:0", leaseMs: 600000}
http: {listen: "127.0.0.1:0", requestsPerSecond: 1000000, maxBodyBytes: 67108864, requestTimeoutMs: ${TIMEOUT_MS}}
`;

/** Totals of the controller's metrics: what it has done so far. */
export interface Work {
  readonly derivations: number;
  /** Entries encoded, once each. */
  readonly encoded: number;
  /** Entries and bytes sent, counted for each switch. */
  readonly sent: number;
  readonly bytes: number;
}

interface Answer {
  readonly acknowledgements?: readonly {
    readonly ok: boolean;
    readonly datapathId: string;
    readonly reason?: string;
  }[];
}

interface ReadyLine {
  readonly http: string;
  readonly openflow: string;
  readonly hub: string;
}

export class WeftProcess {
  private constructor(
    readonly directory: string,
    private readonly daemon: Daemon,
    private readonly client: Client,
    readonly openflow: Address & { readonly port: number },
    readonly hub: Address,
  ) {}

  /**
   * `address`: where switches and agents connect to. `nodeOptions`: to profile, e.g. `--cpu-prof`. `packetInsPerSecond`: taken from each
   * switch; default that of the configuration. `before`: one that has ended, whose store and port for switches this takes over.
   */
  static async start(
    address = '127.0.0.1',
    nodeOptions: readonly string[] = [],
    packetInsPerSecond = 1_000,
    before?: WeftProcess,
  ): Promise<WeftProcess> {
    const directory = before?.directory ?? (await mkdtemp(join(tmpdir(), `weft-bench-${process.pid}-`)));
    const config = join(directory, 'weft.yaml');
    await writeFile(config, configuration(address, before?.openflow.port ?? 0, packetInsPerSecond));
    const main = fileURLToPath(new URL('../cli/main.js', import.meta.url));
    const options = ['--config', config, '--data', join(directory, 'data'), '--log-format', 'json'];
    const daemon = Daemon.start('weft', [process.execPath, ...nodeOptions, main, 'controller', ...options], {
      logFile: join(directory, `controller${before === undefined ? '' : '-again'}.log`),
    });
    const { http, openflow, hub } = await waitFor('the controller', () => readyLine(daemon), TIMEOUT_MS);
    const client = new Client(`http://${http}`, { bodyTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS });
    const switches = parseAddress(openflow);
    if (!('port' in switches)) throw new Error(`switches connect over TCP, not to ${openflow}`);
    return new WeftProcess(directory, daemon, client, switches, parseAddress(hub));
  }

  /** Folder of the store; to be read when the controller has ended. */
  get store(): string {
    return join(this.directory, 'data', 'store');
  }

  /**
   * Applies intents and resolves when every switch concerned has acknowledged them, or (`stored`) when they are accepted. Gives the
   * number of switches; rejects unless all of them agreed.
   */
  async apply(
    objects: readonly IntentObject[],
    wait: 'acknowledged' | 'stored' = 'acknowledged',
  ): Promise<number> {
    return await this.#write(`/v1/apply?wait=${wait}&timeoutMs=60000`, objects);
  }

  /** Deletes objects, and resolves likewise. */
  async remove(...refs: { readonly kind: Kind; readonly name: string }[]): Promise<number> {
    return await this.#write('/v1/delete?wait=acknowledged&timeoutMs=60000', { refs });
  }

  async work(): Promise<Work> {
    const metrics = await this.metrics();
    const total = (name: string): number => metrics.get(`weft_${name}_total`) ?? Number.NaN;
    return {
      derivations: total('derivation_runs'),
      encoded: total('entries_encoded'),
      sent: total('entries_sent'),
      bytes: total('sent_bytes'),
    };
  }

  async inSync(switches: number): Promise<void> {
    await waitFor(
      `${switches} switches in sync`,
      async () => (await this.metrics()).get('weft_switches{state="in-sync"}') === switches,
      TIMEOUT_MS,
    );
  }

  /** Value of each metric, labels in its name. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const { body } = await this.client.request({ method: 'GET', path: '/metrics' });
    const lines = (await body.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      lines.map((line) => {
        const at = line.lastIndexOf(' ');
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
    );
  }

  /** Now, and the most since the start. */
  async residentKilobytes(what: 'VmRSS' | 'VmHWM' = 'VmRSS'): Promise<number> {
    const status = await readFile(`/proc/${this.daemon.pid}/status`, 'utf8');
    return Number(new RegExp(`${what}:\\s+(\\d+) kB`).exec(status)?.[1]);
  }

  /** Milliseconds of processor time that the process has used, of itself and of the kernel for it. */
  async processorTime(): Promise<number> {
    const stat = await readFile(`/proc/${this.daemon.pid}/stat`, 'utf8');
    // Fields 14 and 15 of proc(5), after the name in parentheses, which may contain spaces; in ticks of 10 ms.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return 10 * (Number(fields[11]) + Number(fields[12]));
  }

  /** Ends the process, and leaves its store until {@link stop}. */
  async end(): Promise<void> {
    await this.client.destroy();
    await this.daemon.stop('SIGTERM');
  }

  async stop(): Promise<void> {
    await this.end();
    await rm(this.directory, { recursive: true, force: true });
  }

  async #write(path: string, body: unknown): Promise<number> {
    const headers = { 'content-type': 'application/json' };
    const response = await this.client.request({ method: 'POST', path, headers, body: JSON.stringify(body) });
    const text = await response.body.text();
    if (response.statusCode !== 200)
      throw new Error(`POST ${path}: ${response.statusCode} ${text.slice(0, 2_000)}`);
    const { acknowledgements = [] } = JSON.parse(text) as Answer;
    const failed = acknowledgements.find(({ ok }) => !ok);
    if (failed !== undefined) throw new Error(`${failed.datapathId} did not acknowledge: ${failed.reason}`);
    return acknowledgements.length;
  }
}

function readyLine(daemon: Daemon): ReadyLine | undefined {
  if (!daemon.running) throw new Error(`the controller ended: ${daemon.log()}`);
  const lines = daemon.log().split('\n');
  const line = lines.find((text) => text.includes('"controller.ready"'));
  return line === undefined ? undefined : (JSON.parse(line) as ReadyLine);
}
