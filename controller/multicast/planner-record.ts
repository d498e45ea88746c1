/** Distributions as they are written to the journal. */
import type { MulticastGroup, TreeColour } from '../model/facts.js';
import type { JournalValue } from '../journal/journal.js';
import type { DistributionRecord } from './planner-distribution.js';

/** What is resumed of one distribution. */
export interface ResumedDistribution {
  readonly record: DistributionRecord;
  readonly group?: MulticastGroup;
}

export function serializeRecord(
  { trees, sending }: DistributionRecord,
  group: MulticastGroup | undefined,
): JournalValue {
  return {
    trees: trees.map(({ colour, members, degree }) => ({ colour, members, degree })),
    ...(sending === undefined ? {} : { sending }),
    // Addresses of IPv6 are no JSON numbers.
    ...(group === undefined ? {} : { group: { family: group.family, address: String(group.address) } }),
  };
}

/** Undefined where it is none. */
export function parseRecord(value: JournalValue): ResumedDistribution | undefined {
  if (!isObject(value)) return undefined;
  const trees = Array.isArray(value['trees']) ? value['trees'].map(parseTree) : [];
  const whole = trees.filter((tree) => tree !== undefined);
  if (whole.length === 0 || whole.length < trees.length) return undefined;
  const { sending } = value;
  const group = parseGroup(value['group']);
  if (group === null || (sending !== undefined && !isColour(sending))) return undefined;
  return {
    record: { trees: whole, ...(sending === undefined ? {} : { sending }) },
    ...(group === undefined ? {} : { group }),
  };
}

function parseTree(value: JournalValue): DistributionRecord['trees'][number] | undefined {
  if (!isObject(value)) return undefined;
  const { colour, members, degree } = value;
  if (!isColour(colour) || !Number.isInteger(degree) || Number(degree) < 2) return undefined;
  if (!Array.isArray(members) || members.length === 0 || !members.every(isHostNumber)) return undefined;
  return { colour, members, degree: Number(degree) };
}

/** Null where it is none. */
function parseGroup(value: JournalValue | undefined): MulticastGroup | undefined | null {
  if (value === undefined) return undefined;
  if (!isObject(value)) return null;
  const { family, address } = value;
  if (typeof address !== 'string' || !/^\d+$/.test(address)) return null;
  if (family === 4) return { family, address: Number(address) };
  return family === 6 ? { family, address: BigInt(address) } : null;
}

const isObject = (value: JournalValue | undefined): value is { readonly [member: string]: JournalValue } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isColour = (value: JournalValue | undefined): value is TreeColour =>
  value === 1 || value === 2 || value === 3;

const isHostNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 16;
