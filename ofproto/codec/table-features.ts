/** What tables can do (OpenFlow 1.3.5, section 7.3.5.5). */
import { ErrorType, TableFeaturesFailedCode } from '../errors.js';
import { internOpaque } from '../oxm/codec.js';
import { type Field, OxmClass, tlvHeader } from '../oxm/field.js';
import { experimenterField, fieldByCode } from '../oxm/registry.js';
import type { FeatureId, FieldId, TableFeatureProperty, TableFeatures } from '../structures.js';
import { Malformed, type Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';

/** Property numbers; those of the table-miss entry are one higher. */
const PROPERTY = {
  instructions: 0,
  next_tables: 2,
  write_actions: 4,
  apply_actions: 6,
  match: 8,
  wildcards: 10,
  write_setfield: 12,
  apply_setfield: 14,
  experimenter: 0xfffe,
} as const;
const NAME_LENGTH = 32;

export function writeTableFeatures(writer: Writer, tables: readonly TableFeatures[]): void {
  for (const table of tables) {
    const start = writer.offset;
    writer.skip(2);
    writer.u8(table.tableId);
    writer.skip(5);
    writer.text(table.name, NAME_LENGTH);
    writer.u64(table.metadataMatch);
    writer.u64(table.metadataWrite);
    writer.u32(table.config);
    writer.u32(table.maxEntries);
    for (const property of table.properties) writeProperty(writer, property);
    writer.patchLength(start, start);
  }
}

function writeProperty(writer: Writer, property: TableFeatureProperty): void {
  const start = writer.offset;
  if (property.type === 'opaque') {
    writer.u16(property.number);
    writer.skip(2);
    writer.raw(property.data);
  } else {
    writer.u16(PROPERTY[property.type] + ('miss' in property && property.miss ? 1 : 0));
    writer.skip(2);
    writePropertyBody(writer, property);
  }
  writer.patchLength(start + 2, start);
  writer.pad8(start);
}

function writePropertyBody(
  writer: Writer,
  property: Exclude<TableFeatureProperty, { readonly type: 'opaque' }>,
): void {
  switch (property.type) {
    case 'instructions':
      for (const id of property.instructions) writeFeatureId(writer, id);
      break;
    case 'write_actions':
    case 'apply_actions':
      for (const id of property.actions) writeFeatureId(writer, id);
      break;
    case 'next_tables':
      for (const table of property.tables) writer.u8(table);
      break;
    case 'experimenter':
      writer.u32(property.experimenter);
      writer.u32(property.experimenterType);
      writer.raw(property.data);
      break;
    default:
      for (const id of property.fields) writeFieldId(writer, id);
  }
}

function writeFeatureId(writer: Writer, id: FeatureId): void {
  writer.u16(id.type);
  writer.length(4 + (id.data?.length ?? 0));
  if (id.data !== undefined) writer.raw(id.data);
}

function writeFieldId(writer: Writer, { field, hasMask, length }: FieldId): void {
  const header = hasMask ? field.maskedHeader : field.header;
  writer.u32((length === undefined ? header : tlvHeader(field.class, field.number, hasMask, length)) >>> 0);
  if (field.experimenter !== undefined) writer.u32(field.experimenter);
}

function badLength(offset: number, reason: string): never {
  throw new Malformed(ErrorType.TABLE_FEATURES_FAILED, TableFeaturesFailedCode.BAD_LEN, offset, reason);
}

export function readTableFeatures(reader: Reader, listEnd: number): TableFeatures[] {
  const tables: TableFeatures[] = [];
  while (reader.offset < listEnd) {
    const start = reader.offset;
    reader.need(64, listEnd, 'table features');
    const end = reader.bounded(start, start, 64, listEnd, 'table features');
    reader.offset = start + 2;
    const tableId = reader.u8();
    reader.offset += 5;
    const name = reader.text(NAME_LENGTH);
    const metadataMatch = reader.u64();
    const metadataWrite = reader.u64();
    const config = reader.u32();
    const maxEntries = reader.u32();
    const properties: TableFeatureProperty[] = [];
    while (reader.offset < end) properties.push(readProperty(reader, end));
    tables.push({ tableId, name, metadataMatch, metadataWrite, config, maxEntries, properties });
  }
  return tables;
}

function readProperty(reader: Reader, listEnd: number): TableFeatureProperty {
  const start = reader.offset;
  if (start + 4 > listEnd) badLength(start, `a property needs 4 bytes where ${listEnd - start} are left`);
  const number = reader.u16();
  const length = reader.u16();
  const end = start + length;
  const next = start + ((length + 7) & ~7);
  if (length < 4 || next > listEnd) {
    badLength(start, `table feature property ${number} of ${length} bytes where ${listEnd - start} are left`);
  }
  const property = readPropertyBody(reader, number, end);
  reader.offset = next;
  return property;
}

function readPropertyBody(reader: Reader, number: number, end: number): TableFeatureProperty {
  const miss = (number & 1) !== 0;
  switch (number & ~1) {
    case PROPERTY.instructions:
      return { type: 'instructions', miss, instructions: readFeatureIds(reader, end) };
    case PROPERTY.next_tables:
      return { type: 'next_tables', miss, tables: [...reader.rest(end)] };
    case PROPERTY.write_actions:
      return { type: 'write_actions', miss, actions: readFeatureIds(reader, end) };
    case PROPERTY.apply_actions:
      return { type: 'apply_actions', miss, actions: readFeatureIds(reader, end) };
    case PROPERTY.write_setfield:
      return { type: 'write_setfield', miss, fields: readFieldIds(reader, end) };
    case PROPERTY.apply_setfield:
      return { type: 'apply_setfield', miss, fields: readFieldIds(reader, end) };
    case PROPERTY.experimenter: {
      reader.need(8, end, 'experimenter property');
      const experimenter = reader.u32();
      const experimenterType = reader.u32();
      return { type: 'experimenter', miss, experimenter, experimenterType, data: reader.rest(end) };
    }
    default:
      if (number === PROPERTY.match) return { type: 'match', fields: readFieldIds(reader, end) };
      if (number === PROPERTY.wildcards) return { type: 'wildcards', fields: readFieldIds(reader, end) };
      return { type: 'opaque', number, data: reader.rest(end) };
  }
}

function readFeatureIds(reader: Reader, listEnd: number): FeatureId[] {
  const ids: FeatureId[] = [];
  while (reader.offset < listEnd) {
    const start = reader.offset;
    reader.need(4, listEnd, 'instruction or action id');
    const type = reader.u16();
    const end = reader.bounded(start + 2, start, 4, listEnd, 'instruction or action id');
    reader.offset = start + 4;
    ids.push(end - start === 4 ? { type } : { type, data: reader.rest(end) });
  }
  return ids;
}

function readFieldIds(reader: Reader, listEnd: number): FieldId[] {
  const ids: FieldId[] = [];
  while (reader.offset < listEnd) {
    reader.need(4, listEnd, 'OXM id');
    const oxmClass = reader.u16();
    const fieldAndMask = reader.u8();
    const length = reader.u8();
    const number = fieldAndMask >>> 1;
    const hasMask = (fieldAndMask & 1) !== 0;
    let experimenter: number | undefined;
    let field: Field | undefined;
    if (oxmClass === OxmClass.EXPERIMENTER) {
      reader.need(4, listEnd, 'experimenter of an OXM id');
      experimenter = reader.u32();
      field = experimenterField(experimenter, number);
    } else {
      field = fieldByCode(oxmClass, number);
    }
    field ??= internOpaque(oxmClass, number, hasMask, experimenter);
    const usual = (hasMask ? field.maskedHeader : field.header) & 0xff;
    ids.push(length === usual ? { field, hasMask } : { field, hasMask, length });
  }
  return ids;
}
