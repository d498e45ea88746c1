/** Creates and updates declared hosts, and late bindings. */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../address.js';
import type { HostIntent, IntentObject } from '../intents.js';
import { enumerate } from '../problems.js';
import { boundHost, vteps } from '../record-facts.js';
import type { HostRecord } from '../records.js';
import { forgetHost } from '../runtime/leases.js';
import type { Plan } from './plan.js';

export function applyHosts(plan: Plan): void {
  const { state } = plan;
  const valid: { id: string; host: HostIntent; existing: HostRecord | undefined }[] = [];
  for (const [id, host] of plan.wanted.Host) {
    plan.watch('Host', id);
    if (!checkAddresses(plan, host)) {
      plan.fail(host);
      continue;
    }
    const existing = state.get('host', id);
    valid.push({ id, host, existing });
    // Two hosts may exchange their addresses in one document.
    if (existing !== undefined) state.set('host', id, { name: id, number: existing.number });
  }
  for (const { id, host, existing } of valid) {
    const number = existing?.number ?? plan.allocateNumber(host, state.indexes.hostNumbers, 16);
    if (number === undefined) {
      plan.fail(host);
      continue;
    }
    const record: HostRecord = {
      name: id,
      number,
      spec: host,
      ...(existing?.claim === undefined ? {} : { claim: existing.claim }),
    };
    const { ipv4, ipv6 } = vteps(record);
    const taken = [
      ipv4 === undefined ? undefined : { member: 'vtepIp', text: formatIpv4(ipv4) },
      ipv6 === undefined ? undefined : { member: 'vtepIp6', text: formatIpv6(ipv6) },
    ];
    for (const address of taken) {
      const owner = address && state.indexes.hostByVtep.owner(address.text);
      if (address === undefined || owner === undefined || owner === id) continue;
      plan.problems.error(
        host,
        address.member,
        'host.vtep.taken',
        `${address.text} belongs to host ${owner}`,
        'give each host an address of its own',
      );
      plan.fail(host);
    }
    state.set('host', id, record);
    warnOfClaim(plan, host, record);
  }
}

function checkAddresses(plan: Plan, host: HostIntent): boolean {
  const errors = plan.problems.errors;
  if (host.vtepIp !== undefined && parseIpv4(host.vtepIp) === undefined) {
    plan.problems.error(
      host,
      'vtepIp',
      'host.vtepIp',
      `"${host.vtepIp}" is not an IPv4 address`,
      'write four decimal numbers like 192.168.2.10, without leading zeros',
    );
  }
  if (host.vtepIp6 !== undefined && parseIpv6(host.vtepIp6) === undefined) {
    plan.problems.error(
      host,
      'vtepIp6',
      'host.vtepIp6',
      `"${host.vtepIp6}" is not an IPv6 address`,
      'write it like fd00:2::10',
    );
  }
  return plan.problems.errors === errors;
}

/** The intent holds; an agent that says otherwise is told so when it registers again. */
function warnOfClaim(plan: Plan, host: HostIntent, { claim }: HostRecord): void {
  if (claim === undefined) return;
  const differs = (member: string, wanted: string | undefined, claimed: string | undefined) => {
    if (wanted === undefined || claimed === undefined || wanted === claimed) return;
    plan.problems.warn(
      host,
      member,
      'host.claim',
      `is ${wanted} now, but the agent on the host says ${claimed}`,
      `restart the agent with ${wanted}`,
    );
  };
  differs('vtepIp', host.vtepIp, claim.vtepIpv4 === undefined ? undefined : formatIpv4(claim.vtepIpv4));
  differs('vtepIp6', host.vtepIp6, claim.vtepIpv6 === undefined ? undefined : formatIpv6(claim.vtepIpv6));
  differs('uplink', host.uplink, claim.uplink);
}

/** Late bindings, after the endpoints have been worked out. */
export function applyBindings(plan: Plan): void {
  const { state } = plan;
  for (const [id, binding] of plan.wanted.HostBinding) {
    plan.watch('HostBinding', id);
    if (plan.failed('Endpoint', id)) continue;
    const endpoint = state.get('endpoint', id);
    if (endpoint === undefined) {
      plan.problems.error(
        binding,
        'name',
        'binding.endpoint.unknown',
        `there is no endpoint ${id}`,
        plan.didYouMean(id, 'endpoint', 'declare the endpoint, in this file or before'),
      );
      continue;
    }
    state.set('binding', id, { spec: binding });
    if (endpoint.spec.host !== undefined && endpoint.spec.host !== binding.host) {
      plan.problems.warn(
        binding,
        'host',
        'binding.contradicts',
        `holds over host ${endpoint.spec.host}, which the endpoint itself says`,
      );
    }
    warnOfHost(plan, binding, binding.host, id);
  }
}

/** Names of hosts are taken on trust: their agents may come later. */
export function warnOfHost(plan: Plan, object: IntentObject, host: string, endpoint: string): void {
  if (!plan.state.has('host', host)) {
    const known = plan.unknownHosts.get(host);
    if (known === undefined) plan.unknownHosts.set(host, { first: object, users: 1 });
    else known.users += 1;
  }
  const record = plan.state.get('endpoint', endpoint);
  if (record?.host !== undefined && boundHost(record, plan.state.get('binding', endpoint)) !== record.host) {
    plan.problems.warn(
      object,
      'host',
      'endpoint.elsewhere',
      `it is attached on ${record.host} until it is detached there`,
    );
  }
}

/** One warning for each host that was named and that nobody knows. */
export function warnOfUnknownHosts(plan: Plan): void {
  for (const [host, { first, users }] of plan.unknownHosts) {
    const others = users === 1 ? '' : ` (and ${users - 1} more objects name it)`;
    plan.problems.warn(
      first,
      'host',
      'host.unknown',
      `no host ${host} is declared or registered${others}`,
      plan.didYouMean(host, 'host', 'start its agent, or correct the name'),
    );
  }
}

/** Takes a declaration away; a host that an agent has registered stays, undeclared. */
export function removeHostIntent(plan: Plan, id: string, forget: boolean): void {
  const record = plan.state.get('host', id);
  if (record === undefined) return;
  plan.watch('Host', id);
  const keep = record.claim !== undefined && !forget;
  if (!keep) forgetHost(plan.state, id);
  plan.state.set(
    'host',
    id,
    keep
      ? { name: record.name, number: record.number, ...(record.claim && { claim: record.claim }) }
      : undefined,
  );
  const users = [
    ...plan.state.indexes.endpointsNamingHost.get(id),
    ...plan.state.indexes.bindingsOfHost.get(id),
  ];
  const left = users.filter((user) => !plan.wanted.Endpoint.has(user) && !plan.wanted.HostBinding.has(user));
  if (!keep && left.length > 0) {
    plan.problems.add({
      severity: 'warning',
      code: 'host.unknown',
      path: `Host ${id}`,
      message: `Host ${id}: ${enumerate(left)} still name it`,
    });
  }
}
