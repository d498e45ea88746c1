/**
 * From the accepted connection to a known switch (section 6.3.1): hello, features, then, all at once, everything that does not depend
 * on one another: port descriptions, description, configuration, role, packet-in format, asynchronous messages, and whether the
 * switch knows bundles.
 */
import type {
  AsyncConfig,
  FeaturesReply,
  Hello,
  Message,
  MultipartReplyOf,
  PortDescription,
  PortStatus,
  SwitchDescription,
} from '../../ofproto/index.js';
import {
  BundleControlType,
  BundleFlag,
  ConfigFlag,
  ControllerRole,
  OFP_VERSION,
  PacketInFormat,
  PortReason,
} from '../../ofproto/index.js';
import { describeMessage, SwitchError } from './errors.js';
import type { Numbering } from './numbering.js';
import type { ChannelOptions } from './options.js';
import { mayAnswer } from './reply-types.js';
import type { Requests } from './requests.js';
import type { SwitchCapabilities } from './session.js';

/** What the handshake found out. */
export interface Introduction {
  readonly features: FeaturesReply;
  readonly description: SwitchDescription;
  readonly ports: Map<number, PortDescription>;
  readonly capabilities: SwitchCapabilities;
}

/** The ways a handshake speaks to its switch. */
export interface HandshakeLink {
  readonly requests: Requests;
  send(message: Message): boolean;
}

/** Sends a request; `onReply` is called while the reply is being delivered. */
type Ask = (message: Message, onReply?: (reply: Message) => void) => Promise<Message>;

const ALL = 0xffff_ffff;
/** As equal or master: every packet-in, port status and flow removal. As slave: port status only (the default of section 7.3.10). */
const ASYNC: AsyncConfig = {
  packetIn: { master: ALL, slave: 0 },
  portStatus: { master: ALL, slave: ALL },
  flowRemoved: { master: ALL, slave: 0 },
};

const ROLES = {
  nochange: ControllerRole.NOCHANGE,
  equal: ControllerRole.EQUAL,
  master: ControllerRole.MASTER,
  slave: ControllerRole.SLAVE,
} as const;

const UNKNOWN: SwitchDescription = {
  manufacturer: '',
  hardware: '',
  software: '',
  serialNumber: '',
  datapath: '',
};

/**
 * The version that both sides speak, or a text for the peer when there is none (section 6.3.1: with two version bitmaps the
 * highest common version, else the smaller of the two header versions).
 */
export function negotiate(
  hello: Hello,
): { readonly ok: true } | { readonly ok: false; readonly text: string } {
  const speaks = hello.versions ? hello.versions.includes(OFP_VERSION) : hello.version >= OFP_VERSION;
  if (speaks) return { ok: true };
  const theirs = hello.versions ?? [hello.version];
  const named = theirs.map((version) => `0x${version.toString(16).padStart(2, '0')}`).join(', ');
  return {
    ok: false,
    text: `this controller speaks OpenFlow 1.3 (0x04) only, the switch ${named}; on Open vSwitch: ovs-vsctl set bridge BRIDGE protocols=OpenFlow13`,
  };
}

/** Applies a port-status message to the known ports. */
export function applyPortStatus(ports: Map<number, PortDescription>, { reason, port }: PortStatus): void {
  if (reason === PortReason.DELETE) ports.delete(port.portNo);
  else ports.set(port.portNo, port);
}

/** Hello is done: asks for the features. */
export async function askFeatures(
  link: HandshakeLink,
  numbering: Numbering,
  timeoutMs: number,
): Promise<FeaturesReply> {
  const xid = numbering.xid();
  const reply = await link.requests.expect(xid, {
    what: 'features request',
    send: () => link.send({ type: 'features_request', xid }),
    timeoutMs,
    accept: (message) => message.type === 'features_reply',
  });
  return reply as FeaturesReply;
}

/**
 * Configures the switch and asks for the rest. `ports` is filled while the reply is being delivered, so that a port status right
 * behind it is not overwritten.
 */
export async function introduce(
  link: HandshakeLink,
  features: FeaturesReply,
  ports: Map<number, PortDescription>,
  options: ChannelOptions,
): Promise<Introduction> {
  const { numbering } = options;
  const ask: Ask = (message, onReply) =>
    link.requests.expect(message.xid, {
      what: describeMessage(message),
      send: () => link.send(message),
      timeoutMs: options.handshakeTimeoutMs,
      accept: (reply) => mayAnswer(message, reply),
      ...(onReply ? { onReply } : {}),
    });
  /** For messages without a reply: a barrier behind it says that it was taken. */
  const tell = async (message: Message): Promise<boolean> => {
    const xid = numbering.xid();
    const settled = link.requests.expect(
      xid,
      {
        what: message.type,
        send: () => {
          link.send(message);
          link.send({ type: 'barrier_request', xid });
        },
        timeoutMs: options.handshakeTimeoutMs,
        accept: ({ type }) => type === 'barrier_reply',
      },
      [message.xid],
    );
    return isSupported(settled);
  };

  const portDescriptions = ask(
    { type: 'multipart_request', xid: numbering.xid(), more: false, multipartType: 'port_desc', body: null },
    (reply) => {
      ports.clear();
      for (const port of (reply as MultipartReplyOf<'port_desc'>).body) ports.set(port.portNo, port);
    },
  );
  const description = ask({
    type: 'multipart_request',
    xid: numbering.xid(),
    more: false,
    multipartType: 'desc',
    body: null,
  }).then(
    (reply) => (reply as MultipartReplyOf<'desc'>).body,
    (error: unknown) => unlessRefused(error, UNKNOWN),
  );
  const configured = tell({
    type: 'set_config',
    xid: numbering.xid(),
    flags: ConfigFlag.FRAG_NORMAL,
    missSendLength: options.missSendLength,
  });
  const roles = isSupported(
    ask({
      type: 'role_request',
      xid: numbering.xid(),
      role: ROLES[options.role.role],
      generationId: 'generationId' in options.role ? options.role.generationId : 0n,
    }),
  );
  const asyncConfig = tell({ type: 'set_async', xid: numbering.xid(), ...ASYNC });
  const packetIn2 =
    options.packetInFormat === 'nxt_packet_in2' &&
    tell({ type: 'nx_set_packet_in_format', xid: numbering.xid(), format: PacketInFormat.NXT_PACKET_IN2 });
  const bundles = isSupported(probeBundles(ask, numbering));

  // All together: when the connection ends, they all reject, and none may be left without somebody who waits.
  const [described, hasBundles, hasRoles, hasAsyncConfig, hasPacketIn2] = await Promise.all([
    description,
    bundles,
    roles,
    asyncConfig,
    packetIn2,
    configured,
    portDescriptions,
  ]);
  const capabilities = {
    bundles: hasBundles,
    roles: hasRoles,
    asyncConfig: hasAsyncConfig,
    packetIn2: hasPacketIn2,
  };
  return { features, description: described, ports, capabilities };
}

/** Nothing says whether a switch knows bundles but the attempt: opens one and throws it away. */
async function probeBundles(ask: Ask, numbering: Numbering): Promise<void> {
  const bundleId = numbering.bundleId();
  const flags = BundleFlag.ATOMIC | BundleFlag.ORDERED;
  const control = (controlType: number) =>
    ask({ type: 'bundle_control', xid: numbering.xid(), bundleId, controlType, flags });
  await Promise.all([control(BundleControlType.OPEN_REQUEST), control(BundleControlType.DISCARD_REQUEST)]);
}

const isSupported = (answer: Promise<unknown>): Promise<boolean> =>
  answer.then(
    () => true,
    (error: unknown) => unlessRefused(error, false),
  );

/** An OpenFlow error says that the switch does not know this; anything else ends the handshake. */
function unlessRefused<T>(error: unknown, value: T): T {
  if (error instanceof SwitchError && error.code === 'switch.error') return value;
  throw error;
}
