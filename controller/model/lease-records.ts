/** Records of what container runtimes hold: networks that they use, and addresses kept for containers that they are about to start. */
import type { Fields } from './records.js';

/** A network that a runtime uses on a host. What a runtime made goes with its last use. */
export interface NetworkUseRecord {
  /** `acme/front` */
  readonly network: string;
  readonly host: string;
  /** Of the host's own choice, such as `docker-0123456789ab`. */
  readonly user: string;
}

/** An address that no endpoint has yet and that is not given to any but one of its host. */
export interface ReservationRecord {
  readonly network: string;
  readonly host: string;
  /** Of either family, in canonical text, without prefix length. */
  readonly address: string;
}

export const useId = ({ network, host, user }: NetworkUseRecord): string => `${network}/${host}/${user}`;
export const reservationId = (network: string, address: string): string => `${network}/${address}`;

const withoutVersion = (fields: Fields): unknown => {
  const { schemaVersion: _, ...rest } = fields;
  return rest;
};

export const leaseFields = {
  networkUse: (record: NetworkUseRecord): Fields => ({ ...record }),
  reservation: (record: ReservationRecord): Fields => ({ ...record }),
};

export const leaseRecords = {
  networkUse: (fields: Fields) => withoutVersion(fields) as NetworkUseRecord,
  reservation: (fields: Fields) => withoutVersion(fields) as ReservationRecord,
};
