/** What is remembered of an attachment, in the switch's database and in the state file. */
export interface AttachmentRecord {
  /** `<tenant>/<network>/<endpoint>` */
  readonly endpoint: string;
  /** As `endpoint.attach` returned it; 0 while it has not returned yet. */
  readonly generation: number;
  readonly attachUUID?: string;
  /** Path of the network namespace that holds the other end; absent: an existing interface was attached. */
  readonly namespace?: string;
  /** Name of the interface inside the namespace. */
  readonly innerInterface?: string;
  readonly mac: string;
}

/** Whether two attachments are the same leg of the same workload. */
export function samePlace(a: AttachmentRecord, b: AttachmentRecord): boolean {
  return (
    a.endpoint === b.endpoint &&
    a.namespace === b.namespace &&
    a.innerInterface === b.innerInterface &&
    a.attachUUID === b.attachUUID
  );
}
