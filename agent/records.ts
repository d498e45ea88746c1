/** What is remembered of an attachment, in the switch's database and in the state file. */
export interface AttachmentRecord {
  /** `<tenant>/<network>/<endpoint>` */
  readonly endpoint: string;
  /** As `endpoint.attach` returned it; 0 while it has not returned yet. */
  readonly generation: number;
  readonly attachUUID?: string;
  /**
   * Path of the network namespace that holds the other end. Neither this nor `peer`: an existing interface was attached, which is not
   * the agent's to make or to delete.
   */
  readonly namespace?: string;
  /** Name of the interface inside the namespace. */
  readonly innerInterface?: string;
  /** Name that the other end was made with; a runtime moves it into its namespace, renames it and gives it its addresses. */
  readonly peer?: string;
  readonly mac: string;
}

/** Whether the agent made the interface: it goes with the attachment, and the attachment with it. */
export function isLeg({ namespace, peer }: AttachmentRecord): boolean {
  return namespace !== undefined || peer !== undefined;
}

/** Whether two attachments are the same leg of the same workload. */
export function samePlace(a: AttachmentRecord, b: AttachmentRecord): boolean {
  return (
    a.endpoint === b.endpoint &&
    a.namespace === b.namespace &&
    a.innerInterface === b.innerInterface &&
    a.peer === b.peer &&
    a.attachUUID === b.attachUUID
  );
}
