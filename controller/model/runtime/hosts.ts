/** What agents say of their hosts. */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../address.js';
import { NAME_PATTERN, NAME_RULE } from '../intents.js';
import { refuse } from '../problems.js';
import { vteps } from '../record-facts.js';
import type { HostClaimRecord, HostRecord } from '../records.js';
import type { State } from '../state.js';
import type { HostClaim } from '../types.js';

/**
 * Registers a host, or refreshes what is known of it. Refused: a claim against the host's intent, a datapath or a
 * tunnel address that another host holds (unless it is taken over).
 */
export function claimHost(state: State, claim: HostClaim): void {
  const { host } = claim;
  if (!new RegExp(NAME_PATTERN).test(host)) {
    throw refuse('host.name', `"${host}" is not a valid name of a host`, { fix: `use ${NAME_RULE}` });
  }
  const { datapathId, softSwitch } = claim;
  if ((datapathId === undefined) === (softSwitch === undefined)) {
    throw refuse(
      'host.switch',
      `the agent on ${host} says ${datapathId === undefined ? 'neither' : 'both'}`,
      {
        fix: 'name either a datapath id (Open vSwitch) or a switch without OpenFlow',
      },
    );
  }
  if (datapathId !== undefined && !/^[0-9a-f]{16}$/.test(datapathId)) {
    throw refuse('host.datapathId', `"${datapathId}" is not a datapath id`, {
      fix: 'use 16 lower-case hexadecimal digits',
    });
  }
  const existing = state.get('host', host);
  const wanted = claimRecord(claim);
  checkAgainstIntent(host, existing, wanted);
  const number = existing?.number ?? state.indexes.hostNumbers.lowestFree(1, 0xffff);
  if (number === undefined) {
    throw refuse('host.exhausted', 'there are 65535 hosts, which is all there can be', {
      fix: 'delete hosts that are gone',
    });
  }
  const record: HostRecord = {
    name: host,
    number,
    ...(existing?.spec === undefined ? {} : { spec: existing.spec }),
    claim: wanted,
  };
  settleConflicts(state, record, claim.takeOver ?? false);
  state.set('host', host, record);
}

function claimRecord(claim: HostClaim): HostClaimRecord {
  const { host, datapathId, softSwitch, vtepIp, uplink, tunnelPort } = claim;
  const vtepIpv4 = vtepIp === undefined ? undefined : parseIpv4(vtepIp);
  const vtepIpv6 = vtepIp === undefined || vtepIpv4 !== undefined ? undefined : parseIpv6(vtepIp);
  if (vtepIp !== undefined && vtepIpv4 === undefined && vtepIpv6 === undefined) {
    throw refuse('host.vtepIp', `"${vtepIp}" is not an IP address`, {
      path: `Host ${host}: vtepIp`,
      fix: 'start the agent with --vtep-ip like 192.168.2.10, without leading zeros',
    });
  }
  return {
    ...(datapathId === undefined ? {} : { datapathId }),
    ...(softSwitch === undefined ? {} : { softSwitch }),
    ...(vtepIpv4 === undefined ? {} : { vtepIpv4 }),
    ...(vtepIpv6 === undefined ? {} : { vtepIpv6 }),
    ...(uplink === undefined ? {} : { uplink }),
    ...(tunnelPort === undefined ? {} : { tunnelPort }),
  };
}

function checkAgainstIntent(host: string, existing: HostRecord | undefined, claim: HostClaimRecord): void {
  const spec = existing?.spec;
  if (spec === undefined) return;
  const differs = (
    member: string,
    option: string,
    wanted: string | undefined,
    claimed: string | undefined,
  ) => {
    if (wanted === undefined || claimed === undefined || wanted === claimed) return;
    throw refuse('host.claim', `the agent on ${host} says ${member} ${claimed}, its intent says ${wanted}`, {
      path: `Host ${host}: ${member}`,
      fix: `start the agent with ${option} ${wanted}, or change the intent`,
    });
  };
  // Compared as addresses, not as text: an intent may write IPv6 in another way.
  const pinned = vteps({ name: host, number: 0, spec });
  const text4 = (address: number | undefined) => (address === undefined ? undefined : formatIpv4(address));
  const text6 = (address: bigint | undefined) => (address === undefined ? undefined : formatIpv6(address));
  differs('vtepIp', '--vtep-ip', text4(pinned.ipv4), text4(claim.vtepIpv4));
  differs('vtepIp6', '--vtep-ip', text6(pinned.ipv6), text6(claim.vtepIpv6));
  differs('uplink', '--uplink', spec.uplink, claim.uplink);
}

function settleConflicts(state: State, record: HostRecord, takeOver: boolean): void {
  const { hostByDatapath, hostByVtep } = state.indexes;
  const { ipv4, ipv6 } = vteps(record);
  const datapath = record.claim?.datapathId;
  // Owners are looked up one after the other: a host that is taken over may hold several of these.
  const claimed = [
    ...(datapath === undefined ? [] : [datapath]).map((id) => ({
      what: `datapath ${id}`,
      owner: () => hostByDatapath.owner(id),
      fix: 'give each bridge a datapath id of its own',
    })),
    ...[ipv4 === undefined ? undefined : formatIpv4(ipv4), ipv6 === undefined ? undefined : formatIpv6(ipv6)]
      .filter((text) => text !== undefined)
      .map((text) => ({
        what: `tunnel address ${text}`,
        owner: () => hostByVtep.owner(text),
        fix: 'give each host a tunnel address of its own',
      })),
  ];
  for (const { what, owner: ownerOf, fix } of claimed) {
    const owner = ownerOf();
    if (owner === undefined || owner === record.name) continue;
    const holder = state.get('host', owner);
    if (!takeOver || holder?.claim === undefined || (what.startsWith('tunnel') && pinsVtep(holder))) {
      throw refuse('host.claimed', `${what} belongs to host ${owner}`, {
        path: `Host ${record.name}`,
        fix: `${fix}, or delete host ${owner}`,
      });
    }
    const { claim: _, ...without } = holder;
    state.set('host', owner, without);
  }
}

const pinsVtep = ({ spec }: HostRecord): boolean => spec?.vtepIp !== undefined || spec?.vtepIp6 !== undefined;
