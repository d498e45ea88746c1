/** CHECK: whether a container's interface is as ADD left it, by the result that the runtime kept of the whole list of plugins. */
import Type from 'typebox';
import { mismatch } from '../../rpc/validate.js';
import type { Basics } from './configuration.js';
import { defaultRoutes, inspectInterface, macOf } from './inspect.js';
import { CniCode, CniError } from './protocol.js';
import type { CniRecord } from './records.js';

/** What is looked at of a result, of whatever version. */
const PreviousResult = Type.Object({
  interfaces: Type.Optional(
    Type.Array(
      Type.Object({
        name: Type.String(),
        mac: Type.Optional(Type.String()),
        sandbox: Type.Optional(Type.String()),
      }),
    ),
  ),
  ips: Type.Optional(
    Type.Array(Type.Object({ address: Type.String(), interface: Type.Optional(Type.Integer()) })),
  ),
  routes: Type.Optional(Type.Array(Type.Object({ dst: Type.String(), gw: Type.Optional(Type.String()) }))),
});
interface PreviousResult {
  readonly interfaces?: readonly {
    readonly name: string;
    readonly mac?: string;
    readonly sandbox?: string;
  }[];
  readonly ips?: readonly { readonly address: string; readonly interface?: number }[];
  readonly routes?: readonly { readonly dst: string; readonly gw?: string }[];
}

/**
 * Everything that differs is named. Routes that a later plugin took out of the result are not missed.
 *
 * @param record with the namespace that the runtime says now
 * @param hostInterface the port of the attachment; undefined: there is no attachment any more
 * @throws CniError invalidConfiguration (no prevResult), different
 */
export async function checkAttachment(
  { document }: Basics,
  record: CniRecord,
  hostInterface: string | undefined,
): Promise<void> {
  const previous = previousResult(document);
  const { netns, interfaceName, endpoint } = record;
  const problems: string[] = [];
  if (hostInterface === undefined) problems.push(`endpoint ${endpoint} is not attached to ${netns}`);
  else if ((await macOf(hostInterface)) === undefined) problems.push(`the host has no ${hostInterface}`);

  const { interfaces = [], ips = [], routes = [] } = previous;
  const index = interfaces.findIndex(({ name, sandbox }) => name === interfaceName && sandbox === netns);
  const expected = interfaces[index];
  if (expected === undefined) problems.push(`prevResult has no interface ${interfaceName} of ${netns}`);
  const found = await inspectInterface(netns, interfaceName);
  if (found === undefined) problems.push(`${netns} has no interface ${interfaceName}`);
  else {
    const { mac = found.mac } = expected ?? {};
    if (!found.up) problems.push(`${interfaceName} is down`);
    if (found.mac.toLowerCase() !== mac.toLowerCase())
      problems.push(`${interfaceName} has MAC address ${found.mac}, not ${mac}`);
    for (const { address, interface: of } of ips) {
      if (of === index && !found.addresses.includes(address))
        problems.push(`${interfaceName} does not have ${address}`);
    }
    const made = routes.flatMap(({ gw }) =>
      gw !== undefined && record.defaultRoutes.includes(gw) ? [gw] : [],
    );
    const present = made.length === 0 ? [] : await defaultRoutes(netns, interfaceName, made);
    for (const gateway of made)
      if (!present.includes(gateway)) problems.push(`there is no default route by ${gateway}`);
  }
  if (problems.length > 0) throw new CniError(CniCode.different, problems.join('; '));
}

function previousResult(document: Basics['document']): PreviousResult {
  const { prevResult } = document;
  const problem =
    prevResult === undefined ? 'is missing' : mismatchText(mismatch(PreviousResult, prevResult));
  if (problem === undefined) return prevResult as PreviousResult;
  throw new CniError(CniCode.invalidConfiguration, `network configuration: prevResult ${problem}`);
}

const mismatchText = (wrong: ReturnType<typeof mismatch>): string | undefined =>
  wrong === undefined ? undefined : `${wrong.path}: ${wrong.message}`;
