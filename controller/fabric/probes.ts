/**
 * Probes: LLDP frames that say from which port they left, and prove that this process sent them, a moment ago.
 *
 * The proof is an HMAC-SHA-256 with a key that never leaves the process, over datapath id, port, reach and time. A station can hold back
 * a probe and send it at another port, or bridge two ports: within `probeLifeMs` no controller can tell that from a cable.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { DatapathId } from '../model/facts.js';
import { decodeLldp, encodeLldp, LOCALLY_ASSIGNED, NEAREST_BRIDGE } from './lldp.js';
import type { ProbeCounters } from './types.js';

/**
 * How far a probe goes. `neighbour`: sent to the address that bridges keep to themselves, so it is heard at the other end of a cable;
 * `segment`: to a group address that bridges flood, so it is heard behind switches that are not of the fabric as well.
 */
export type Reach = 'neighbour' | 'segment';

export interface ProbeSource {
  readonly datapathId: DatapathId;
  /** OpenFlow port number. */
  readonly port: number;
  readonly name: string;
  readonly hardwareAddress: number;
}

/** A probe that was heard and is ours. */
export interface HeardProbe {
  readonly datapathId: DatapathId;
  readonly port: number;
  readonly reach: Reach;
  /** Of the process's clock, when it was sent. */
  readonly sentAt: number;
}

/** OUI of the OpenFlow group, as other controllers use it for the same purpose; the subtype is ours. */
const OUI = 0x0026e1;
const SUBTYPE = 0x57;
const VERSION = 1;
/** Version, reach, port (4), datapath id (8), time in microseconds (8); then the HMAC. */
const BODY = 22;
const HMAC = 16;

/** A locally administered group address, which bridges treat like any other multicast. */
const SEGMENT_ADDRESS = 0x0357_4546_5401;
/** Seconds: what LLDP daemons at the ports show as the life of what they heard. */
const TTL = 4;

export class Probes {
  readonly #key = randomBytes(32);
  readonly #lifeMs: number;
  readonly counters = {
    sent: 0,
    accepted: 0,
    foreign: 0,
    forged: 0,
    replayed: 0,
    reflected: 0,
  } satisfies ProbeCounters;

  constructor(lifeMs: number) {
    this.#lifeMs = lifeMs;
  }

  /** The frame to send out of the port. */
  frame(source: ProbeSource, reach: Reach, now: number): Uint8Array {
    const information = new Uint8Array(BODY + HMAC);
    const view = new DataView(information.buffer);
    view.setUint8(0, VERSION);
    view.setUint8(1, reach === 'neighbour' ? 0 : 1);
    view.setUint32(2, source.port);
    view.setBigUint64(6, BigInt(`0x${source.datapathId}`));
    view.setBigUint64(14, BigInt(Math.round(now * 1000)));
    information.set(this.#sign(information.subarray(0, BODY)), BODY);
    this.counters.sent++;
    return encodeLldp({
      destination: reach === 'neighbour' ? NEAREST_BRIDGE : SEGMENT_ADDRESS,
      source: source.hardwareAddress,
      lldpdu: {
        chassisId: { subtype: LOCALLY_ASSIGNED, id: ascii(source.datapathId) },
        portId: { subtype: LOCALLY_ASSIGNED, id: ascii(`${source.port}`) },
        ttl: TTL,
        ...(source.name === '' ? {} : { portDescription: source.name }),
        systemName: `weft-${source.datapathId}`,
        organisations: [{ oui: OUI, subtype: SUBTYPE, information }],
      },
    });
  }

  /** What a heard frame proves; `undefined`, and counted, where that is nothing. */
  verify(frame: Uint8Array, now: number): HeardProbe | undefined {
    const organisation = decodeLldp(frame)?.lldpdu.organisations.find(
      ({ oui, subtype }) => oui === OUI && subtype === SUBTYPE,
    );
    if (organisation === undefined) return this.#refuse('foreign');
    const { information } = organisation;
    if (information.length !== BODY + HMAC || information[0] !== VERSION) return this.#refuse('forged');
    const body = information.subarray(0, BODY);
    if (!timingSafeEqual(this.#sign(body), information.subarray(BODY))) return this.#refuse('forged');
    const view = new DataView(body.buffer, body.byteOffset, body.length);
    const sentAt = Number(view.getBigUint64(14)) / 1000;
    if (now - sentAt > this.#lifeMs) return this.#refuse('replayed');
    return {
      reach: view.getUint8(1) === 0 ? 'neighbour' : 'segment',
      port: view.getUint32(2),
      datapathId: view.getBigUint64(6).toString(16).padStart(16, '0'),
      sentAt,
    };
  }

  #sign(body: Uint8Array): Uint8Array {
    return createHmac('sha256', this.#key).update(body).digest().subarray(0, HMAC);
  }

  #refuse(why: 'foreign' | 'forged' | 'replayed'): undefined {
    this.counters[why]++;
    return undefined;
  }
}

const encoder = new TextEncoder();
const ascii = (text: string): Uint8Array => encoder.encode(text);
