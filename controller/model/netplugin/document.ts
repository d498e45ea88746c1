/**
 * Reads the documents of contiv's netplugin (August 2015). Keys are matched without regard to case; unknown ones are
 * reported as warnings; null, an empty text and (for numbers) 0 mean "not given", because its client `netdcli` writes every
 * member of its Go structures.
 */
import { didYouMean } from '../problems.js';
import type { Problem } from '../types.js';

export interface HostDocument {
  readonly Name?: string;
  readonly Intf?: string;
  readonly VtepIP?: string;
  readonly NetID?: string;
}

export interface EndpointDocument {
  readonly Container?: string;
  readonly Host?: string;
  readonly AttachUUID?: string;
  readonly IPAddress?: string;
}

export interface NetworkDocument {
  readonly Name?: string;
  readonly PktTagType?: string;
  readonly PktTag?: string;
  readonly SubnetCIDR?: string;
  readonly DefaultGw?: string;
  readonly Endpoints: readonly EndpointDocument[];
}

export interface TenantDocument {
  readonly Name?: string;
  readonly DefaultNetType?: string;
  readonly SubnetPool?: string;
  readonly AllocSubnetLen?: number;
  readonly VLANs?: string;
  readonly VXLANs?: string;
  readonly Networks: readonly NetworkDocument[];
}

export interface Document {
  readonly Hosts: readonly HostDocument[];
  readonly Tenants: readonly TenantDocument[];
  readonly HostBindings: readonly EndpointDocument[];
}

type MemberType = 'text' | 'number' | { readonly items: Shape };
interface Shape {
  readonly members: Readonly<Record<string, MemberType>>;
  /** Known to the ancestor, without a meaning here. */
  readonly ignored?: readonly string[];
}

const HOST: Shape = { members: { Name: 'text', Intf: 'text', VtepIP: 'text', NetID: 'text' } };
const ENDPOINT: Shape = {
  members: { Container: 'text', Host: 'text', AttachUUID: 'text', IPAddress: 'text' },
};
const NETWORK: Shape = {
  members: {
    Name: 'text',
    PktTagType: 'text',
    PktTag: 'text',
    SubnetCIDR: 'text',
    DefaultGw: 'text',
    Endpoints: { items: ENDPOINT },
  },
};
const TENANT: Shape = {
  members: {
    Name: 'text',
    DefaultNetType: 'text',
    SubnetPool: 'text',
    AllocSubnetLen: 'number',
    VLANs: 'text',
    VXLANs: 'text',
    Networks: { items: NETWORK },
  },
};
const DOCUMENT: Shape = {
  members: { Hosts: { items: HOST }, Tenants: { items: TENANT }, HostBindings: { items: ENDPOINT } },
  ignored: ['InfraNetworks'],
};

/** Reads parsed JSON, or its text. With `bareBindings` an array is the list of host bindings. */
export function readDocument(
  input: unknown,
  problems: Problem[],
  options: { bareBindings?: boolean } = {},
): Document {
  let value = input;
  if (typeof input === 'string') {
    try {
      value = JSON.parse(input) as unknown;
    } catch (error) {
      report(
        problems,
        'error',
        'document.syntax',
        '',
        `the document is not JSON: ${String(error)}`,
        'write JSON',
      );
      value = {};
    }
  }
  if (options.bareBindings === true && Array.isArray(value)) value = { HostBindings: value };
  return readObject(value, DOCUMENT, '', problems) as unknown as Document;
}

function readObject(
  value: unknown,
  shape: Shape,
  path: string,
  problems: Problem[],
): Record<string, unknown> {
  const read: Record<string, unknown> = {};
  for (const [member, type] of Object.entries(shape.members)) if (typeof type === 'object') read[member] = [];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    report(
      problems,
      'error',
      'document.object',
      path,
      `${path || 'the document'} is not an object`,
      'write {…}',
    );
    return read;
  }
  const known = Object.keys(shape.members);
  const given = new Map<string, string>();
  for (const [key, found] of Object.entries(value)) {
    const member = known.find((name) => name.toLowerCase() === key.toLowerCase());
    const here = `${path}/${key}`;
    if (member === undefined) {
      const meaningless = shape.ignored?.some((name) => name.toLowerCase() === key.toLowerCase()) === true;
      if (meaningless && (found === null || (Array.isArray(found) && found.length === 0))) continue;
      const fix = meaningless ? 'leave it out' : didYouMean(key, known, `members are ${known.join(', ')}`);
      report(problems, 'warning', 'document.unknown-key', here, `${here} is not known and ignored`, fix);
      continue;
    }
    const before = given.get(member);
    if (before !== undefined) {
      report(
        problems,
        'error',
        'document.duplicate',
        here,
        `${here} is given twice (as ${before} too)`,
        'remove one',
      );
      continue;
    }
    given.set(member, key);
    const result = readMember(found, shape.members[member] as MemberType, here, problems);
    if (result !== undefined) read[member] = result;
  }
  return read;
}

function readMember(value: unknown, type: MemberType, path: string, problems: Problem[]): unknown {
  if (value === null || value === '') return undefined;
  if (typeof type === 'object') {
    if (Array.isArray(value)) {
      return value.map((item, index) => readObject(item, type.items, `${path}/${index}`, problems));
    }
    report(problems, 'error', 'document.array', path, `${path} is not an array`, 'write […]');
    return [];
  }
  if (type === 'number') {
    if (value === 0) return undefined;
    const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
    if (typeof number === 'number' && Number.isInteger(number)) return number;
    report(
      problems,
      'error',
      'document.value',
      path,
      `${path}: ${JSON.stringify(value)} is not a number`,
      'write a number without quotes',
    );
    return undefined;
  }
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return value.trim() === '' ? undefined : value.trim();
  report(
    problems,
    'error',
    'document.value',
    path,
    `${path}: ${JSON.stringify(value)} is not text`,
    'put it in quotes',
  );
  return undefined;
}

export function report(
  problems: Problem[],
  severity: Problem['severity'],
  code: string,
  path: string,
  message: string,
  fix: string,
): void {
  problems.push({ severity, code, message, ...(path === '' ? {} : { path }), fix });
}
