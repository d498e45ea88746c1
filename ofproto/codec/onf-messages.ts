/** Messages of the Open Networking Foundation for OpenFlow 1.3 (EXT-187, EXT-191 and EXT-230), but for the one that holds a message. */
import type { BundleProperty } from '../structures.js';
import type { Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import { type AnyMessageCodec, bareMessage, messageCodec } from './message-codec.js';
import { bytesProperty, readProperties } from './properties.js';

export const ONF_MESSAGES: readonly AnyMessageCodec[] = [
  messageCodec<'bundle_control'>({
    type: 'bundle_control',
    number: 2300,
    minimum: 8,
    write(writer, message) {
      writer.u32(message.bundleId);
      writer.u16(message.controlType);
      writer.u16(message.flags);
      writeBundleProperties(writer, message.properties);
    },
    read(reader, end, xid) {
      const bundleId = reader.u32();
      const controlType = reader.u16();
      const flags = reader.u16();
      const properties = readBundleProperties(reader, end);
      return { type: 'bundle_control', xid, bundleId, controlType, flags, ...properties };
    },
  }),
  messageCodec<'role_status'>({
    type: 'role_status',
    number: 1911,
    minimum: 16,
    write(writer, message) {
      writer.u32(message.role);
      writer.u8(message.reason);
      writer.skip(3);
      writer.u64(message.generationId);
    },
    read(reader, _end, xid) {
      const role = reader.u32();
      const reason = reader.u8();
      reader.offset += 3;
      return { type: 'role_status', xid, role, reason, generationId: reader.u64() };
    },
  }),
  messageCodec<'flow_monitor_cancel'>({
    type: 'flow_monitor_cancel',
    number: 1870,
    minimum: 4,
    write: (writer, message) => writer.u32(message.monitorId),
    read: (reader, _end, xid) => ({ type: 'flow_monitor_cancel', xid, monitorId: reader.u32() }),
  }),
  bareMessage('flow_monitor_paused', 1871),
  bareMessage('flow_monitor_resumed', 1872),
];

export function writeBundleProperties(
  writer: Writer,
  properties: readonly BundleProperty[] | undefined,
): void {
  for (const { number, data } of properties ?? []) bytesProperty(writer, number, data);
}

/** `{}` where there are none, so that a message without them has no such key. */
export function readBundleProperties(
  reader: Reader,
  end: number,
): { readonly properties?: readonly BundleProperty[] } {
  const properties: BundleProperty[] = [];
  readProperties(reader, end, (number, length) => {
    properties.push({ number, data: reader.take(length) });
    return true;
  });
  return properties.length === 0 ? {} : { properties };
}
