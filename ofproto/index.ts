/** The only entry of the codec: OpenFlow 1.3.5 and the Nicira and ONF extensions, bytes <-> typed messages. No I/O. */
export type * from './actions.js';
export * from './address.js';
export * from './builders.js';
export * from './constants.js';
export {
  DecodeError,
  Decoder,
  type DecoderEvents,
  type DecoderOptions,
  decode,
  type MessageHeader,
} from './decoder.js';
export { Encoder, type EncoderOptions, encode, encodedLength, MessageTooLong } from './encoder.js';
export { ValueOutOfRange } from './wire/writer.js';
export * from './errors.js';
export type * from './messages.js';
export type * from './multipart.js';
export { MultipartAssembler, MultipartError, type MultipartLimits } from './multipart-assembler.js';
export { NICIRA_EXPERIMENTER, NSH_EXPERIMENTER, ONF_EXPERIMENTER } from './oxm/extensions.js';
export { canonicalMatch, canonicalOxm, flowKey, normaliseMatch } from './oxm/canonical.js';
export { internOpaque as opaqueField } from './oxm/codec.js';
export {
  type Field,
  type FieldFormat,
  type FieldKind,
  OxmClass,
  type OxmValue,
  type Prerequisite,
} from './oxm/field.js';
export { findOxm, type Match, type MatchSpec, matchOf, type Oxm, oxm } from './oxm/oxm.js';
export { PacketInView } from './packet-in-view.js';
export { F, type FieldName, fieldByName } from './oxm/registry.js';
export type * from './structures.js';
export { formatActions, formatInstructions } from './text/actions.js';
export {
  type FlowText,
  formatFlow,
  formatFlowStats,
  formatGroup,
  formatMeter,
  type GroupText,
  type MeterText,
} from './text/entries.js';
export { formatMatch } from './text/match.js';
export { formatMessage } from './text/message.js';
export { formatPort } from './text/values.js';
