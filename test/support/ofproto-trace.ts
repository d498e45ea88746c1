/** What `ofproto/trace` of Open vSwitch says, and what the executor says, in one form that can be compared. */
import type { FlowStats } from '../../ofproto/index.js';
import { formatIpv4, formatIpv6 } from '../../ofproto/address.js';
import { type Lookup, type Step, stepsBelow } from '../../controller/trace/steps.js';

/** In the order of Open vSwitch: a pipeline to its end, then the copies that connection tracking sent on, first come first. */
export interface TraceSummary {
  /** `<table>: priority <priority>, cookie 0x<cookie>`, or `<table>: no match`. */
  readonly lookups: readonly string[];
  /** Port numbers; with the tunnel's other end where the port is a tunnel. */
  readonly outputs: readonly string[];
}

/** Reads the output of `ofproto/trace`. @param tunnelPort port whose outputs are told with their tun_dst */
export function readOfprotoTrace(text: string, tunnelPort: number): TraceSummary {
  const [lookups, outputs]: [string[], string[]] = [[], []];
  const lines = text.split('\n').map((line) => line.trim());
  let [destination, inPort] = ['', ''];
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('Flow:')) inPort = /in_port=(\w+)/.exec(line)?.[1] ?? '';
    const next = lines[index + 1] ?? '';
    const [, table, rest = ''] = /^(\d+)\. (.*)$/.exec(line) ?? [];
    if (table !== undefined) {
      const [, priority = '32768'] = /priority (\d+)/.exec(rest) ?? [];
      const [, cookie = '0'] = /cookie 0x([0-9a-f]+)/.exec(rest) ?? [];
      lookups.push(
        rest.startsWith('No match')
          ? `${table}: no match`
          : `${table}: priority ${priority}, cookie 0x${cookie}`,
      );
    }
    const [, tunnel] = /^set_field:(\S+)->tun_(?:ipv6_)?dst/.exec(line) ?? [];
    if (tunnel !== undefined) destination = tunnel;
    let port: string | undefined;
    if (line === 'IN_PORT') port = inPort;
    else if (/^output:\d+$/.test(line)) port = line.slice('output:'.length);
    else port = /^-> output port is (\S+)/.exec(line)?.[1];
    if (port === undefined || next.includes('skipping output to input port')) continue;
    outputs.push(Number(port) === tunnelPort ? `${port} to ${destination}` : port);
  }
  return { lookups, outputs };
}

/** The same of the executor's steps. */
export function summarise(root: Lookup<FlowStats>, tunnelPort: number): TraceSummary {
  const [lookups, outputs]: [string[], string[]] = [[], []];
  const waiting: Lookup<FlowStats>[] = [root];
  const visit = (step: Step<FlowStats>): void => {
    if (step.kind === 'lookup') {
      const { table, entry } = step;
      lookups.push(
        entry === undefined
          ? `${table}: no match`
          : `${table}: priority ${entry.priority}, cookie 0x${entry.cookie.toString(16)}`,
      );
    } else if (step.kind === 'output') {
      const { port, packet } = step;
      const [v4, v6] = [packet.get('tun_dst') ?? 0n, packet.get('tun_ipv6_dst') ?? 0n];
      const destination = v4 === 0n ? formatIpv6(v6) : formatIpv4(Number(v4));
      outputs.push(port === tunnelPort ? `${port} to ${destination}` : `${port}`);
    } else if (step.kind === 'track') {
      if (step.lookup !== undefined) waiting.push(step.lookup);
      return;
    }
    for (const below of stepsBelow(step)) visit(below);
  };
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) visit(next);
  return { lookups, outputs };
}
