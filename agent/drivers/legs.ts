/** How a workload's interface is made: an interface in its namespace, and what of it the host sees. */
import type { AttachmentRecord } from '../records.js';
import { createLeg, deleteLink, type Leg, linkExists, listLinks } from '../linux/links.js';

export interface Legs {
  /** Interfaces by name, with the alias where there is one: those of the host, or of the attachments. */
  list(records: ReadonlyMap<string, AttachmentRecord>): Promise<ReadonlyMap<string, string | undefined>>;
  exists(name: string, record: AttachmentRecord): Promise<boolean>;
  /** Nothing is left when it fails. Rejects with `agent.namespace.missing`, `agent.interface.exists`, `agent.command.failed`. */
  create(leg: Leg): Promise<void>;
  /** No error when it is gone already. */
  remove(name: string, record?: AttachmentRecord): Promise<void>;
}

/** A veth pair: one end in the namespace, the other on the host's switch. */
export const vethLegs: Legs = {
  list: () => listLinks(),
  exists: (name) => linkExists(name),
  create: (leg) => createLeg(leg),
  remove: (name) => deleteLink(name),
};
