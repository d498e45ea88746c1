/** Named register fields: which bits of which register mean what, declared once for the whole pipeline. */
import { type Action, F, type Field, type Oxm, oxm, type Subfield } from '../../ofproto/index.js';

/** Place of a field in OVS's 32-bit registers: `bits` bits from bit `offset` (0 is the least significant) of `reg<register>`. */
export interface RegisterPlace {
  /** 0 to 15. */
  readonly register: number;
  readonly offset: number;
  readonly bits: number;
  /** For the pipeline reference. */
  readonly description?: string;
}

/** A named field in a register. Values are unsigned numbers of `bits` bits. */
export interface RegisterField extends Subfield {
  readonly name: string;
  readonly description: string;
  readonly field: Field<number>;
  /** The field's bits within its register. */
  readonly mask: number;
  /** Compares the field. Two fields of one register may stand in one match: matches are merged per register. */
  match(value: number): Oxm<number>;
  /** Writes the field and leaves the other bits of the register alone. */
  set(value: number): Action;
  /** Copies another field, whole or its lowest bits, into this one. */
  copyFrom(source: Subfield | Field): Action;
  /** Copies this field into another, from its lowest bit. */
  copyTo(destination: Subfield | Field): Action;
}

/** What a table may match or set: a field of packets, or some bits of a register. */
export type PipelineField = Field | RegisterField;

export function isRegisterField(field: PipelineField): field is RegisterField {
  return 'copyFrom' in field;
}

const REGISTERS: readonly Field<number>[] = [
  F.reg0,
  F.reg1,
  F.reg2,
  F.reg3,
  F.reg4,
  F.reg5,
  F.reg6,
  F.reg7,
  F.reg8,
  F.reg9,
  F.reg10,
  F.reg11,
  F.reg12,
  F.reg13,
  F.reg14,
  F.reg15,
];

/**
 * Declares the register fields of a pipeline.
 * @throws RangeError where two fields share a bit or a field leaves its register.
 */
export function defineRegisters<const Name extends string>(
  places: Readonly<Record<Name, RegisterPlace>>,
): Readonly<Record<Name, RegisterField>> {
  const taken = new Map<number, number>();
  const fields = {} as Record<Name, RegisterField>;
  for (const name of Object.keys(places) as Name[]) {
    const field = new NamedRegisterField(name, places[name]);
    const { register } = places[name];
    const used = taken.get(register) ?? 0;
    if ((used & field.mask) !== 0) {
      throw new RangeError(
        `register field '${name}' shares bits of reg${register} with another; move its offset`,
      );
    }
    taken.set(register, used | field.mask);
    fields[name] = field;
  }
  return fields;
}

class NamedRegisterField implements RegisterField {
  readonly field: Field<number>;
  readonly offset: number;
  readonly bits: number;
  readonly mask: number;
  readonly description: string;

  constructor(
    readonly name: string,
    place: RegisterPlace,
  ) {
    const field = REGISTERS[place.register];
    if (field === undefined) {
      throw new RangeError(`register field '${name}': there is no register ${place.register}; take 0 to 15`);
    }
    if (place.bits < 1 || place.offset < 0 || place.offset + place.bits > 32) {
      throw new RangeError(
        `register field '${name}': ${place.bits} bits from bit ${place.offset} do not fit 32 bits`,
      );
    }
    this.field = field;
    this.offset = place.offset;
    this.bits = place.bits;
    this.mask = ((2 ** place.bits - 1) * 2 ** place.offset) >>> 0;
    this.description = place.description ?? '';
  }

  match(value: number): Oxm<number> {
    this.#check(value);
    if (this.bits === 32) return oxm(this.field, value);
    return oxm(this.field, (value * 2 ** this.offset) >>> 0, this.mask);
  }

  set(value: number): Action {
    this.#check(value);
    return { type: 'reg_load', dst: this.field, offset: this.offset, bits: this.bits, value: BigInt(value) };
  }

  copyFrom(source: Subfield | Field): Action {
    const { field, offset, bits } = subfield(source);
    return {
      type: 'reg_move',
      src: field,
      srcOffset: offset,
      dst: this.field,
      dstOffset: this.offset,
      bits: Math.min(bits, this.bits),
    };
  }

  copyTo(destination: Subfield | Field): Action {
    const { field, offset, bits } = subfield(destination);
    return {
      type: 'reg_move',
      src: this.field,
      srcOffset: this.offset,
      dst: field,
      dstOffset: offset,
      bits: Math.min(bits, this.bits),
    };
  }

  #check(value: number): void {
    if (Number.isInteger(value) && value >= 0 && value < 2 ** this.bits) return;
    throw new RangeError(`register field '${this.name}' has ${this.bits} bits, which do not hold ${value}`);
  }
}

function subfield(of: Subfield | Field): Subfield {
  return 'wireName' in of ? { field: of, offset: 0, bits: of.bits } : of;
}
