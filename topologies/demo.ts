/**
 * `npm start`: a controller and a lab of three hosts with an agent each, the intents of examples/two-tenants.yaml, and the table of who
 * reaches whom as it comes to be.
 *
 *     node dist/topologies/demo.js             stays until Ctrl-C
 *     node dist/topologies/demo.js --once      ends; exit code 0 when everything that should be reached was, and nothing else
 *     node dist/topologies/demo.js --json      with the result as JSON on standard output
 */
import { parseArgs } from 'node:util';
import { pathToFileURL, fileURLToPath } from 'node:url';
import {
  applyIntents,
  attach,
  startAgent,
  startController,
  type RunningController,
} from './demo/processes.js';
import { Display, renderTable } from './demo/display.js';
import { Reachability } from './demo/reachability.js';
import { readScenario, type Scenario } from './demo/scenario.js';
import { Lab } from './lab/index.js';

export interface DemoOptions {
  /** End when the table is complete, instead of staying until `signal`. */
  readonly once: boolean;
  /** Write the result as one JSON object to standard output; the rest goes to standard error. */
  readonly json: boolean;
  /** Ends the demo at any moment. Nothing is left behind. */
  readonly signal: AbortSignal;
}

const EXAMPLE = fileURLToPath(new URL('../../examples/two-tenants.yaml', import.meta.url));
/** Everything is attached; the table must be right in this time. */
const CONVERGENCE_MS = 20_000;
const REFRESH_MS = 2_000;
const PARENT_CHECK_MS = 1_000;

/** Exit code: 0 all as it should be (or ended by `signal`), 1 something is not, or could not be started. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const display = new Display(options.json ? process.stderr : process.stdout);
  if (process.getuid?.() !== 0) {
    display.step('network namespaces need root: run this as root');
    return 1;
  }
  const demo = new Demo(display, options);
  try {
    return await demo.run();
  } catch (error) {
    if (options.signal.aborted) return 0;
    display.step(`failed: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await demo.end();
  }
}

class Demo {
  private readonly reachability = new Reachability();
  private readonly started = Date.now();
  private lab: Lab | undefined;

  constructor(
    private readonly display: Display,
    private readonly options: DemoOptions,
  ) {}

  async run(): Promise<number> {
    const { once, json, signal } = this.options;
    const scenario = readScenario(EXAMPLE);
    const lab = await this.build(scenario);
    const controller = await this.start(lab, scenario);
    await this.attachAll(lab, scenario);
    const right = await this.converge();
    this.display.table(renderTable(this.reachability), true);
    const seconds = (Date.now() - this.started) / 1000;
    this.display.step(
      right
        ? 'as it should be: every network reaches its own members, and nobody else'
        : 'NOT as it should be',
    );
    if (json) process.stdout.write(`${JSON.stringify({ ok: right, seconds, ...this.result() })}\n`);
    if (once) return right ? 0 : 1;
    this.explain(lab, controller);
    await this.stay();
    return signal.aborted || right ? 0 : 1;
  }

  /** Take everything away. */
  async end(): Promise<void> {
    if (this.lab === undefined) return;
    await this.lab.destroy();
    this.display.step('lab, controller and agents are gone');
  }

  private async build(scenario: Scenario): Promise<Lab> {
    const hosts = scenario.hosts.map((name) => ({ name }));
    this.display.step(`building a lab of ${hosts.length} hosts in network namespaces`);
    this.lab = await Lab.create({ name: 'demo', hosts });
    this.options.signal.throwIfAborted();
    return this.lab;
  }

  private async start(lab: Lab, scenario: Scenario): Promise<RunningController> {
    this.display.step('starting the controller');
    const controller = await startController(lab);
    this.display.step(
      `controller: OpenFlow ${controller.openflow}, hub ${controller.hub}, API ${controller.server}`,
    );
    await applyIntents(EXAMPLE, controller);
    this.display.step('applied examples/two-tenants.yaml; starting an agent on every host');
    await Promise.all([
      ...scenario.hosts.map((name) => startAgent(lab, lab.host(name), controller)),
      ...scenario.routers.map((router, index) => this.addRouter(lab, router, index)),
    ]);
    this.options.signal.throwIfAborted();
    this.display.step(`agents registered: ${scenario.hosts.join(', ')}`);
    return controller;
  }

  private async addRouter(lab: Lab, router: Scenario['routers'][number], index: number): Promise<void> {
    const { network, vlan, address } = router;
    const neighbour = await lab.neighbour({ name: `router${index + 1}`, vlan, addresses: [address] });
    await this.reachability.add({
      label: `router in VLAN ${vlan}`,
      network,
      host: '-',
      namespace: neighbour,
      interface: 'access',
      address: address.split('/')[0] ?? address,
    });
  }

  /** One endpoint after the other per host, the hosts side by side; the table is filled meanwhile. */
  private async attachAll(lab: Lab, { hosts, endpoints }: Scenario): Promise<void> {
    const attached = new AbortController();
    const watching = (async () => {
      while (!attached.signal.aborted) await this.round();
    })();
    // It is awaited below, which may be long after it failed.
    watching.catch(() => {});
    try {
      await Promise.all(
        hosts.map(async (host) => {
          for (const endpoint of endpoints.filter((candidate) => candidate.host === host)) {
            await this.attachOne(lab, endpoint);
          }
        }),
      );
    } finally {
      attached.abort();
      await watching;
    }
  }

  private async attachOne(lab: Lab, endpoint: Scenario['endpoints'][number]): Promise<void> {
    const { tenant, network, name, host } = endpoint;
    this.options.signal.throwIfAborted();
    const container = await lab.namespace(`${tenant}-${network}-${name}`.toLowerCase());
    const begun = Date.now();
    const result = await attach(lab, lab.host(host), {
      tenant,
      network,
      endpoint: name,
      netns: container.path,
    });
    const address = result.endpoint.ip?.split('/')[0];
    const { encapsulation, tag } = result.endpoint;
    this.display.step(
      `attached ${tenant}/${network}/${name} on ${host}: ${address ?? 'no IPv4'}, ${encapsulation} ${tag}, MTU ${result.mtu}, in ${Date.now() - begun} ms`,
    );
    if (address === undefined) return;
    await this.reachability.add({
      label: `${tenant}/${network}/${name}`,
      network: `${tenant}/${network}`,
      host,
      namespace: container,
      interface: 'eth0',
      address,
    });
  }

  private async round(): Promise<void> {
    this.options.signal.throwIfAborted();
    if (this.reachability.members.length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
    else await this.reachability.round();
    this.display.table(renderTable(this.reachability));
  }

  private async converge(): Promise<boolean> {
    const deadline = Date.now() + CONVERGENCE_MS;
    do await this.round();
    while (!this.reachability.right && Date.now() < deadline);
    return this.reachability.right;
  }

  private result(): object {
    return {
      pairs: this.reachability.pairs().map(({ from, to, wanted, cell }) => ({
        from: from.label,
        to: to.label,
        wanted,
        cell,
      })),
    };
  }

  private explain(lab: Lab, { server }: RunningController): void {
    const weft = server.endsWith('//127.0.0.1:9999') ? 'cli/weft' : `WEFT_SERVER=${server} cli/weft`;
    const [first] = this.reachability.members.filter((member) => member.interface === 'eth0');
    this.display.step(`look around:   ${weft} status;  ${weft} get endpoints;  ls ${lab.directory}`);
    if (first !== undefined) {
      this.display.step(`inside ${first.label}:   nsenter --net=${first.namespace.path} bash`);
    }
    this.display.step('Ctrl-C ends it');
  }

  /** Keep the table true until the signal. */
  private async stay(): Promise<void> {
    const { signal } = this.options;
    while (!signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, REFRESH_MS);
        signal.addEventListener('abort', done);
      });
      if (signal.aborted) return;
      const before = this.reachability.right;
      await this.round();
      this.display.table(renderTable(this.reachability), this.reachability.right !== before);
    }
  }
}

/** `kill` of npm ends npm and its shell only: the demo ends when they are gone, as with Ctrl-C. */
function endWithParent(stop: AbortController): void {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid !== parent) stop.abort();
  }, PARENT_CHECK_MS);
  watch.unref();
}

async function main(): Promise<number> {
  let values: { once?: boolean; json?: boolean };
  try {
    ({ values } = parseArgs({ options: { once: { type: 'boolean' }, json: { type: 'boolean' } } }));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\nusage: npm start -- [--once] [--json]\n`);
    return 2;
  }
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());
  endWithParent(stop);
  return await runDemo({ once: values.once ?? false, json: values.json ?? false, signal: stop.signal });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = await main();
}
