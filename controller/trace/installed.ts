/** The entries that a switch holds now, read table by table as an execution comes to them. */
import type { SwitchSession } from '../channel/index.js';
import { type Action, type FlowStats, Group, Port } from '../../ofproto/index.js';
import { type ExecutableSwitch, execute, executeActions, type Track } from './execute.js';
import type { ExecutableGroup } from './group-buckets.js';
import { FlowTable } from './flow-table.js';
import type { Packet } from './packet.js';
import { type Lookup, type Step, stepsOf, type Unread } from './steps.js';

/** What is asked of a session. */
export type ReadableSession = Pick<SwitchSession, 'datapathId' | 'multipart' | 'xid'>;

/** What was read stays as it was read, so that all packets of one trace meet the same entries. */
export class InstalledTables implements ExecutableSwitch<FlowStats> {
  readonly #tables = new Map<number, FlowTable<FlowStats>>();
  readonly #flows: FlowStats[] = [];
  #groups: Map<number, ExecutableGroup> | undefined;

  constructor(
    private readonly session: ReadableSession,
    private readonly timeoutMs: number,
    /** Whether a port is up, for groups that watch it; undefined: it is not known. */
    readonly portUp: (port: number) => boolean | undefined = () => undefined,
  ) {}

  table(id: number): FlowTable<FlowStats> | 'unread' {
    return this.#tables.get(id) ?? 'unread';
  }

  group(id: number): ExecutableGroup | 'unread' | undefined {
    return this.#groups === undefined ? 'unread' : this.#groups.get(id);
  }

  /** Ids of the tables that were read. */
  get tables(): ReadonlySet<number> {
    return new Set(this.#tables.keys());
  }

  /** Entries of those tables. */
  get flows(): readonly FlowStats[] {
    return this.#flows;
  }

  /** What becomes of a packet, whatever has to be read for it. @throws SwitchError */
  async execute(packet: Packet, track: Track): Promise<Lookup<FlowStats>> {
    for (;;) {
      const lookup = execute(this, packet, track);
      if (!(await this.#readWhatLacks([lookup]))) return lookup;
    }
  }

  /** What the actions of a packet-out do with a packet. @throws SwitchError */
  async executeActions(
    packet: Packet,
    actions: readonly Action[],
    track: Track,
  ): Promise<readonly Step<FlowStats>[]> {
    for (;;) {
      const steps = executeActions(this, packet, actions, track);
      if (!(await this.#readWhatLacks(steps))) return steps;
    }
  }

  /** False: nothing was lacking. */
  async #readWhatLacks(steps: readonly Step<FlowStats>[]): Promise<boolean> {
    const unread = steps.flatMap((step) => stepsOf(step, 'unread')).map(({ what }) => what);
    if (unread.length > 0) await this.#read(unread);
    return unread.length > 0;
  }

  async #read(unread: readonly Unread[]): Promise<void> {
    const tables = new Set(unread.flatMap((what) => (what === 'groups' ? [] : [what.table])));
    await Promise.all([
      ...[...tables].map((table) => this.#readTable(table)),
      ...(unread.includes('groups') ? [this.#readGroups()] : []),
    ]);
  }

  async #readTable(tableId: number): Promise<void> {
    const any = { outPort: Port.ANY, outGroup: Group.ANY, cookie: 0n, cookieMask: 0n, match: [] };
    const { body } = await this.session.multipart(
      {
        type: 'multipart_request',
        more: false,
        xid: this.session.xid(),
        multipartType: 'flow',
        body: { tableId, ...any },
      },
      { timeoutMs: this.timeoutMs },
    );
    this.#tables.set(tableId, new FlowTable(body));
    for (const flow of body) this.#flows.push(flow);
  }

  async #readGroups(): Promise<void> {
    const { body } = await this.session.multipart(
      {
        type: 'multipart_request',
        more: false,
        xid: this.session.xid(),
        multipartType: 'group_desc',
        body: null,
      },
      { timeoutMs: this.timeoutMs },
    );
    this.#groups = new Map(body.map((group) => [group.groupId, group]));
  }
}
