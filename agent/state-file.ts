/**
 * What the agent knows of its attachments, on disk: the switch's database may come back empty, and then this is the only memory.
 * Written whole to a new file that takes the place of the old one, so that a crash leaves the one or the other.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf } from './error.js';
import type { Logger } from './logger.js';
import type { HostQueue, TunnelPeer } from '../rpc/index.js';
import type { CniRecord } from './cni/records.js';
import type { AttachmentRecord } from './records.js';

export interface AgentMemory {
  /** Highest epoch used so far. */
  readonly epoch: number;
  /** By name of the interface on the bridge. */
  readonly attachments: Readonly<Record<string, AttachmentRecord>>;
  /** Endpoints that were detached for good while the controller could not be told. */
  readonly releases: readonly { readonly endpoint: string; readonly generation?: number }[];
  /** Of the uplinks, as the controller told last. */
  readonly queues: readonly HostQueue[];
  /** Hosts whose tunnels are watched, as the controller told last. */
  readonly peers: readonly TunnelPeer[];
  /** Interfaces of containers that a CNI runtime added. */
  readonly cni: Readonly<Record<string, CniRecord>>;
}

const EMPTY: AgentMemory = { epoch: 0, attachments: {}, releases: [], queues: [], peers: [], cni: {} };
const VERSION = 1;

export class StateFile {
  private memory: AgentMemory;
  private writing: Promise<void> | undefined;
  private dirty = false;

  constructor(
    private readonly path: string,
    private readonly logger: Logger,
  ) {
    this.memory = this.read();
  }

  get current(): AgentMemory {
    return this.memory;
  }

  /** Change the memory; resolves when it is on disk. Changes made while a write runs go out together in the next. */
  async update(change: Partial<AgentMemory>): Promise<void> {
    this.memory = { ...this.memory, ...change };
    this.dirty = true;
    this.writing ??= this.writeWhileDirty().finally(() => {
      this.writing = undefined;
    });
    await this.writing;
  }

  private async writeWhileDirty(): Promise<void> {
    while (this.dirty) {
      this.dirty = false;
      const text = `${JSON.stringify({ version: VERSION, ...this.memory })}\n`;
      mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
      const fresh = `${this.path}.new`;
      const file = await open(fresh, 'w', 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(fresh, this.path);
    }
  }

  private read(): AgentMemory {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch {
      return EMPTY;
    }
    try {
      const { version, ...memory } = JSON.parse(text) as AgentMemory & { version: number };
      if (version === VERSION) return { ...EMPTY, ...memory };
      this.logger.warn({ event: 'state.ignored', path: this.path, reason: `version ${version}` });
    } catch (error) {
      this.logger.warn({ event: 'state.ignored', path: this.path, reason: messageOf(error) });
    }
    return EMPTY;
  }
}
