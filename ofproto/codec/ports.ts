/** Port descriptions (OpenFlow 1.3.5, section 7.2.1, ofp_port). */
import type { PortDescription } from '../structures.js';
import type { Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';

export const PORT_LENGTH = 64;
const NAME_LENGTH = 16;

export function writePort(writer: Writer, port: PortDescription): void {
  writer.u32(port.portNo);
  writer.skip(4);
  writer.u48(port.hardwareAddress);
  writer.skip(2);
  writer.text(port.name, NAME_LENGTH);
  writer.u32(port.config);
  writer.u32(port.state);
  writer.u32(port.current);
  writer.u32(port.advertised);
  writer.u32(port.supported);
  writer.u32(port.peer);
  writer.u32(port.currentSpeed);
  writer.u32(port.maxSpeed);
}

export function readPort(reader: Reader, end: number): PortDescription {
  reader.need(PORT_LENGTH, end, 'port');
  const portNo = reader.u32();
  reader.offset += 4;
  const hardwareAddress = reader.u48();
  reader.offset += 2;
  return {
    portNo,
    hardwareAddress,
    name: reader.text(NAME_LENGTH),
    config: reader.u32(),
    state: reader.u32(),
    current: reader.u32(),
    advertised: reader.u32(),
    supported: reader.u32(),
    peer: reader.u32(),
    currentSpeed: reader.u32(),
    maxSpeed: reader.u32(),
  };
}
