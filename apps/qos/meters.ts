/**
 * Numbers of meters. A meter's number follows from the facts alone, so that it is the same after every restart and no two facts want the
 * same one. Open vSwitch takes numbers from 1 to 262,144 on the userspace datapath and at most 200,000 on the kernel one.
 *
 *     1 to 99          of the cluster: what goes to the controller
 *     100 to 32,767    of a profile that the endpoints of a host share: two for each slot
 *     to 65,535        of a network: what one host may broadcast in it
 *     from 65,536      of a port: three for each, up to 261,375 for the last port that an endpoint may have
 *
 * `MeterId.allPacketIns` is Open vSwitch's own meter of everything that it sends to controllers.
 */
import { Meter } from '../../ofproto/index.js';

const FIRST_SHARED = 100;
const FIRST_OF_NETWORKS = 0x8000;
const FIRST_OF_PORTS = 0x10000;
const KINDS_OF_PORT = 3;
const DIRECTIONS = ['out', 'in'] as const;

/** As an endpoint sees it: `out` is what it sends. */
export type Direction = (typeof DIRECTIONS)[number];

/** Profiles whose meters can be shared: those of numbers that are equal modulo this are in each other's way. */
export const SHARED_SLOTS = (FIRST_OF_NETWORKS - FIRST_SHARED) / DIRECTIONS.length;

export const MeterId = {
  /** Everything that a switch sends to its controllers but for what has a meter of its own. */
  allPacketIns: Meter.CONTROLLER,
} as const;

/** Meter of what one endpoint sends or receives, by its port. */
export function portMeter(port: number, direction: Direction): number {
  return FIRST_OF_PORTS + port * KINDS_OF_PORT + DIRECTIONS.indexOf(direction);
}

/** Meter of what one endpoint sends to everybody, by its port. */
export function stormMeter(port: number): number {
  return FIRST_OF_PORTS + port * KINDS_OF_PORT + DIRECTIONS.length;
}

export function sharedSlot(profile: { readonly number: number }): number {
  return profile.number % SHARED_SLOTS;
}

/** Meter of what all endpoints of a host with the profile send or receive together. */
export function sharedMeter(profile: { readonly number: number }, direction: Direction): number {
  return FIRST_SHARED + sharedSlot(profile) * DIRECTIONS.length + DIRECTIONS.indexOf(direction);
}

/**
 * Meter of what one host broadcasts in a network. Networks whose numbers are 32,768 apart have one: on a host that carries both, one of
 * the two limits holds for both together.
 */
export function broadcastMeter(network: { readonly number: number }): number {
  return FIRST_OF_NETWORKS + (network.number % (FIRST_OF_PORTS - FIRST_OF_NETWORKS));
}
