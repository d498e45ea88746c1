/** Parsers of option values, for commander. */
import { InvalidArgumentError } from 'commander';

export function list(value: string): string[] {
  return value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

export function positiveNumber(value: string): number {
  const number = Number(value);
  if (!Number.isFinite(number) || number <= 0)
    throw new InvalidArgumentError('It is not a number greater than 0.');
  return number;
}

export function positiveInteger(value: string): number {
  const number = positiveNumber(value);
  if (!Number.isInteger(number)) throw new InvalidArgumentError('It is not a whole number.');
  return number;
}

function wholeNumber(value: string, most: number): number {
  if (!/^\d+$/.test(value) || Number(value) > most)
    throw new InvalidArgumentError(`It is not a whole number from 0 to ${most}.`);
  return Number(value);
}

export function portNumber(value: string): number {
  return wholeNumber(value, 65_535);
}

export function octet(value: string): number {
  return wholeNumber(value, 255);
}

export function vlanId(value: string): number {
  return wholeNumber(value, 4095);
}

export interface IcmpMessage {
  readonly type: number;
  readonly code: number;
}

/** `8` or `3/1`: type, and code where it is not 0. */
export function icmpMessage(value: string): IcmpMessage {
  const [type = '', code = '0', ...rest] = value.split('/');
  if (rest.length > 0) throw new InvalidArgumentError('It is not TYPE or TYPE/CODE.');
  return { type: octet(type), code: octet(code) };
}

/** `KEY=VALUE`, for options that may be given several times. */
export function collectPairs(
  value: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const equals = value.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('It is not KEY=VALUE.');
  return { ...before, [value.slice(0, equals)]: value.slice(equals + 1) };
}
