/** `weft controller` as a process beside the lab, and what the tests ask its HTTP API. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Daemon, type Lab, until } from '../../topologies/lab/index.js';

const WEFT = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

export interface ShownEndpoint {
  readonly name: string;
  readonly status: {
    readonly ip?: string;
    readonly mac: string;
    readonly host?: string;
    readonly attached: boolean;
  };
}

interface ShownStatus {
  readonly datapaths: readonly { readonly host?: string; readonly state: string }[];
  readonly hosts: readonly { readonly host: string; readonly state: string; readonly attached: number }[];
}

/** The controller of a lab: always at the same addresses and with the same state, however often it is started. */
export class ControllerProcess {
  readonly hub: string;
  readonly #openflow: string;
  readonly #http: string;
  readonly #config: string;
  #daemon: Daemon | undefined;

  /** @param more further arguments of `weft controller` */
  constructor(
    private readonly lab: Lab,
    private readonly more: readonly string[] = [],
  ) {
    const { managementAddress, directory } = lab;
    this.hub = `${managementAddress}:9001`;
    this.#openflow = `${managementAddress}:6653`;
    this.#http = `${managementAddress}:9999`;
    this.#config = join(directory, 'controller.yaml');
    // Partitions are noticed within seconds.
    writeFileSync(this.#config, 'hub: { leaseMs: 2000 }\nopenflow: { echoIntervalMs: 1000 }\n');
  }

  /** Of its HTTP API. */
  get url(): string {
    return `http://${this.#http}`;
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    const argv = ['controller', '--config', this.#config, '--data', join(this.lab.directory, 'controller')];
    argv.push('--openflow', this.#openflow, '--hub', this.hub, '--http', this.#http, ...this.more);
    // Without tap's loaders, which take most of a second to start.
    const daemon = this.lab.spawn('controller', [process.execPath, WEFT, ...argv], { NODE_OPTIONS: '' });
    this.#daemon = daemon;
    const ready = async (): Promise<boolean> => {
      if (!daemon.running) throw new Error(`the controller ended: ${daemon.log()}`);
      return (await fetch(`http://${this.#http}/readyz`).catch(() => undefined))?.ok === true;
    };
    await until('the controller to be ready', ready, 30_000);
  }

  /** Resolves when it is gone. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#daemon?.stop(signal);
  }

  async request<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
    const content = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(`http://${this.#http}${path}`, { method, headers, ...content });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  /** Of every endpoint, by `<tenant>/<network>/<endpoint>`. */
  async endpoints(): Promise<ReadonlyMap<string, ShownEndpoint['status']>> {
    const all = await this.request<readonly ShownEndpoint[]>('GET', '/v1/endpoints');
    return new Map(all.map(({ name, status }) => [name, status]));
  }

  /** Value of an unlabelled metric. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://${this.#http}/metrics`)).text();
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
    if (value === undefined) throw new Error(`no metric ${name}`);
    return Number(value);
  }

  async stateOf(host: string): Promise<{ readonly agent?: string; readonly switch?: string }> {
    const { datapaths, hosts } = await this.request<ShownStatus>('GET', '/v1/status');
    const agent = hosts.find((one) => one.host === host)?.state;
    const datapath = datapaths.find((one) => one.host === host)?.state;
    return {
      ...(agent === undefined ? {} : { agent }),
      ...(datapath === undefined ? {} : { switch: datapath }),
    };
  }

  /** Resolves when the agents of these hosts hold their leases and their switches hold their tables. */
  async settled(hosts: Iterable<string>): Promise<void> {
    for (const host of hosts) {
      const right = async (): Promise<boolean> => {
        const state = await this.stateOf(host);
        return state.agent === 'up' && state.switch === 'in-sync';
      };
      await until(`agent and switch of ${host}`, right, 30_000);
    }
  }
}
