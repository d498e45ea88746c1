import type { Socket } from 'node:net';
import type {
  FlowMod,
  GroupMod,
  Message,
  MeterMod,
  MultipartRequest,
  PortDescription,
} from '../../ofproto/index.js';
import {
  BadRequestCode,
  BundleControlType,
  BundleFailedCode,
  Capability,
  decode,
  Encoder,
  ErrorType,
  HEADER_LENGTH,
  OFP_VERSION,
  ONF_EXPERIMENTER,
} from '../../ofproto/index.js';
import { Frames, MessageNumber } from './frames.js';
import type { EmulatedCounters } from './counters.js';
import { answerMultipart } from './multipart.js';
import type { EmulatedTables, Refusal } from './tables.js';

type Modification = FlowMod | GroupMod | MeterMod;

export interface ProtocolOptions {
  readonly datapathId: bigint;
  readonly tables: number;
  /** Undefined: acknowledge and count only. */
  readonly store: EmulatedTables | undefined;
  readonly bundles: boolean;
  readonly counters: EmulatedCounters;
  readonly ports: () => PortDescription[];
  readonly refuse: (
    modification: Modification,
  ) => (Refusal & { readonly when?: 'add' | 'commit' }) | undefined;
  readonly delayMs: () => number;
  readonly heard: (message: Message) => void;
  /** Somebody wants to hear every message decoded. */
  readonly listening: () => boolean;
}

/** A modification in a bundle, with the message that brought it, for the error that may name it. */
interface Added {
  readonly message: FlowMod | GroupMod;
  readonly frame: Uint8Array;
}

/** One connection: answers what a controller may ask of a switch. */
export class Protocol {
  greeted = false;
  readonly #socket: Socket;
  readonly #options: ProtocolOptions;
  readonly #frames = new Frames();
  readonly #encoder = new Encoder({ slabSize: SLAB_BYTES });
  readonly #bundles = new Map<number, Added[]>();
  #missSendLength = 128;
  #flags = 0;
  #role = 1;
  #generationId = 0n;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, options: ProtocolOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#write({ type: 'hello', xid: 1, version: OFP_VERSION, versions: [OFP_VERSION] });
    this.#flush();
    socket.on('data', (bytes: Uint8Array) => this.#read(bytes));
  }

  freeze(): void {
    this.#socket.pause();
  }

  thaw(): void {
    this.#socket.resume();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #read(bytes: Uint8Array): void {
    const delay = this.#options.delayMs();
    if (delay > 0) {
      // One chunk at a time, so that answers keep their order.
      this.#socket.pause();
      this.#timer = setTimeout(() => {
        this.#handleAll(bytes);
        this.#socket.resume();
      }, delay);
    } else this.#handleAll(bytes);
  }

  #handleAll(bytes: Uint8Array): void {
    const { counters, listening, heard } = this.#options;
    counters.bytes += bytes.length;
    for (const frame of this.#frames.push(bytes)) {
      counters.messages += 1;
      if (listening()) heard(decode(frame));
      this.#handle(frame);
    }
    this.#flush();
  }

  #handle(frame: Uint8Array): void {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    const xid = view.getUint32(4);
    switch (view.getUint8(1)) {
      case MessageNumber.HELLO:
        this.greeted = true;
        return;
      case MessageNumber.ERROR:
      case MessageNumber.ECHO_REPLY:
        return;
      case MessageNumber.BARRIER_REQUEST:
        this.#options.counters.barriers += 1;
        return this.#write({ type: 'barrier_reply', xid });
      case MessageNumber.PACKET_OUT:
        this.#options.counters.packetOuts += 1;
        return;
      case MessageNumber.EXPERIMENTER:
        if (this.#experimenter(frame, view, xid)) return;
        break;
      case MessageNumber.FLOW_MOD:
      case MessageNumber.GROUP_MOD:
      case MessageNumber.METER_MOD:
        return this.#modify(frame, view);
    }
    this.#answer(decode(frame), frame);
  }

  /** Bundles, by their headers alone where nothing is stored. False: to be decoded as anything else. */
  #experimenter(frame: Uint8Array, view: DataView, xid: number): boolean {
    if (frame.length < 24 || view.getUint32(8) !== ONF_EXPERIMENTER || !this.#options.bundles) return false;
    const kind = view.getUint32(12);
    const bundleId = view.getUint32(16);
    if (kind === BUNDLE_CONTROL) {
      this.#control(frame, xid, bundleId, view.getUint16(20), view.getUint16(22));
      return true;
    }
    if (kind === BUNDLE_ADD_MESSAGE) {
      this.#add(frame, bundleId);
      return true;
    }
    return false;
  }

  #control(frame: Uint8Array, xid: number, bundleId: number, controlType: number, flags: number): void {
    const { counters } = this.#options;
    const open = this.#bundles.get(bundleId);
    if (!open && controlType !== BundleControlType.OPEN_REQUEST)
      return this.#bundleError(frame, BundleFailedCode.BAD_ID);
    switch (controlType) {
      case BundleControlType.OPEN_REQUEST:
        if (open) return this.#bundleError(frame, BundleFailedCode.BAD_ID);
        this.#bundles.set(bundleId, []);
        break;
      case BundleControlType.CLOSE_REQUEST:
        break;
      case BundleControlType.DISCARD_REQUEST:
        this.#bundles.delete(bundleId);
        counters.bundlesDiscarded += 1;
        break;
      case BundleControlType.COMMIT_REQUEST:
        this.#bundles.delete(bundleId);
        if (!this.#commit(open ?? [])) {
          counters.bundlesFailed += 1;
          return this.#bundleError(frame, BundleFailedCode.MSG_FAILED);
        }
        counters.bundlesCommitted += 1;
        break;
      default:
        return this.#bundleError(frame, BundleFailedCode.BAD_TYPE);
    }
    this.#write({ type: 'bundle_control', xid, bundleId, controlType: controlType + 1, flags });
  }

  #add(frame: Uint8Array, bundleId: number): void {
    // As Open vSwitch does: adding to a bundle that is not open opens it.
    let bundle = this.#bundles.get(bundleId);
    if (!bundle) this.#bundles.set(bundleId, (bundle = []));
    const inner = frame.subarray(BUNDLE_ADD_HEADER);
    this.#count(inner[1] ?? 0);
    if (!this.#options.store) return;
    const message = decode(inner);
    if (message.type !== 'flow_mod' && message.type !== 'group_mod') {
      return this.#bundleError(frame, BundleFailedCode.MSG_UNSUP);
    }
    const refusal = this.#options.refuse(message);
    if (refusal?.when === 'add') return this.#error(frame, refusal);
    bundle.push({ message, frame: Uint8Array.from(frame.subarray(0, QUOTED_BYTES)) });
  }

  /** All or nothing; the error of the one that failed is sent before that of the commit. */
  #commit(added: readonly Added[]): boolean {
    const { store, refuse } = this.#options;
    if (!store) return true;
    for (const { message, frame } of added) {
      const refusal = refuse(message);
      if (!refusal) continue;
      this.#error(frame, refusal);
      return false;
    }
    const failed = store.applyAll(added.map(({ message }) => message));
    if (!failed) return true;
    const { frame } = added[failed.index] ?? {};
    if (frame) this.#error(frame, failed.refusal);
    return false;
  }

  #modify(frame: Uint8Array, view: DataView): void {
    this.#count(view.getUint8(1));
    const { store, refuse } = this.#options;
    if (!store) return;
    const message = decode(frame);
    if (message.type !== 'flow_mod' && message.type !== 'group_mod' && message.type !== 'meter_mod') return;
    const refusal = refuse(message) ?? store.apply(message);
    if (refusal) this.#error(frame, refusal);
  }

  #count(number: number): void {
    const { counters } = this.#options;
    if (number === MessageNumber.FLOW_MOD) counters.flowMods += 1;
    else if (number === MessageNumber.GROUP_MOD) counters.groupMods += 1;
    else if (number === MessageNumber.METER_MOD) counters.meterMods += 1;
  }

  /** Everything that is rare. */
  #answer(message: Message, frame: Uint8Array): void {
    const { xid } = message;
    switch (message.type) {
      case 'echo_request':
        return this.#write({ type: 'echo_reply', xid, data: message.data });
      case 'features_request': {
        const { datapathId, tables } = this.#options;
        const capabilities = Capability.FLOW_STATS | Capability.TABLE_STATS | Capability.PORT_STATS;
        return this.#write({
          type: 'features_reply',
          xid,
          datapathId,
          buffers: 0,
          tables,
          auxiliaryId: 0,
          capabilities,
        });
      }
      case 'set_config':
        this.#flags = message.flags;
        this.#missSendLength = message.missSendLength;
        return;
      case 'get_config_request':
        return this.#write({
          type: 'get_config_reply',
          xid,
          flags: this.#flags,
          missSendLength: this.#missSendLength,
        });
      case 'role_request':
        if (message.role !== 0) this.#role = message.role;
        if (message.role > 1) this.#generationId = message.generationId;
        return this.#write({ type: 'role_reply', xid, role: this.#role, generationId: this.#generationId });
      case 'set_async':
      case 'nx_set_packet_in_format':
        return;
      case 'multipart_request':
        return this.#multipart(message, frame);
      default:
        return this.#error(frame, {
          errorType: ErrorType.BAD_REQUEST,
          code:
            message.type === 'experimenter' || message.type.startsWith('bundle')
              ? BadRequestCode.BAD_EXPERIMENTER
              : BadRequestCode.BAD_TYPE,
        });
    }
  }

  #multipart(request: MultipartRequest, frame: Uint8Array): void {
    const { store, ports, datapathId, tables } = this.#options;
    const answered = answerMultipart(request, { store, ports, datapathId, tables }, (reply) =>
      this.#write(reply),
    );
    if (!answered)
      this.#error(frame, { errorType: ErrorType.BAD_REQUEST, code: BadRequestCode.BAD_MULTIPART });
  }

  #bundleError(frame: Uint8Array, code: number): void {
    this.#error(frame, { errorType: ErrorType.EXPERIMENTER, code, experimenter: ONF_EXPERIMENTER });
  }

  #error(frame: Uint8Array, { errorType, code, experimenter }: Refusal): void {
    const xid = new DataView(frame.buffer, frame.byteOffset, HEADER_LENGTH).getUint32(4);
    const data = frame.subarray(0, QUOTED_BYTES);
    this.#options.counters.errorsSent += 1;
    this.#write({
      type: 'error',
      xid,
      errorType,
      code,
      data,
      ...(experimenter === undefined ? {} : { experimenter }),
    });
  }

  #write(message: Message): void {
    this.#encoder.append(message);
  }

  #flush(): void {
    if (this.#encoder.pending > 0) this.#socket.write(this.#encoder.take());
  }
}

const SLAB_BYTES = 16 * 1024;
const BUNDLE_CONTROL = 2300;
const BUNDLE_ADD_MESSAGE = 2301;
/** Header, experimenter, subtype, bundle id, padding and flags in front of the inner message. */
const BUNDLE_ADD_HEADER = 24;
/** What an error quotes of the message that caused it. */
const QUOTED_BYTES = 64;
