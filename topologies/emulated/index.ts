/** Emulated OpenFlow switches for tests and benches; see README.md. */
export type { EmulatedCounters } from './counters.js';
export { EmulatedFleet, type EmulatedFleetOptions } from './emulated-fleet.js';
export { type EmulatedPort, EmulatedSwitch, type EmulatedSwitchOptions } from './emulated-switch.js';
export { EmulatedTables, type FlowEntry, type Refusal } from './tables.js';
