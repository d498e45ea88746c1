/** What policies did to packets: live, afterwards from the switches' counters, and by rule. */
import Type, { type Static } from 'typebox';
import type { PacketEvent } from '../punt/types.js';
import type { ApiContext, ApiServer } from './context.js';
import { ApiError } from './errors.js';
import { withDeadline } from './limits.js';
import { ERRORS, NOT_FOUND } from './schemas.js';
import { DropsAnswer, RuleCountersAnswer } from './schemas-packets.js';

const filter = (description: string) => Type.Optional(Type.String({ maxLength: 200, description }));

/** Which packets an event stream is about. */
export const PacketQuery = {
  tenant: filter('Packets: only those of this tenant'),
  endpoint: filter('Packets: only those from or to this endpoint, TENANT/NETWORK/ENDPOINT'),
  verdict: Type.Optional(
    Type.String({
      pattern: '^(allow|deny|reject)(,(allow|deny|reject))*$',
      description: 'Packets: only with these verdicts',
    }),
  ),
};

/** The filter that a query asks for. */
export function packetFilter({
  tenant,
  endpoint,
  verdict,
}: {
  readonly [K in keyof typeof PacketQuery]?: Static<(typeof PacketQuery)[K]> | undefined;
}): (packet: PacketEvent) => boolean {
  const verdicts = verdict?.split(',');
  return (packet) =>
    (tenant === undefined || packet.tenant === tenant) &&
    (endpoint === undefined ||
      packet.source.endpoint === endpoint ||
      packet.destination.endpoint === endpoint) &&
    (verdicts === undefined || verdicts.includes(packet.verdict));
}

export async function packetRoutes(server: ApiServer, context: ApiContext): Promise<void> {
  const { backend, config } = context;

  server.get(
    '/v1/drops',
    {
      schema: {
        summary: 'Why and how many packets switches have dropped',
        description:
          'Read from the counters of every drop entry of every connected switch; an entry counts from when it was made. Packets whose ' +
          '`countedAgain` is set went on to an entry about their sender and are counted there too.',
        tags: ['policy'],
        querystring: Type.Object({
          host: filter('Only those of this host'),
          tenant: filter('Only those about this tenant'),
          endpoint: filter('Only those about this endpoint, TENANT/NETWORK/ENDPOINT'),
          all: Type.Boolean({ default: false, description: 'Those that have dropped nothing as well' }),
        }),
        response: { 200: DropsAnswer, ...ERRORS, ...NOT_FOUND },
      },
    },
    async ({ query: { host, tenant, endpoint, all } }) => {
      mustBe('Host', host);
      mustBe('Endpoint', endpoint);
      const { items, silent } = await answered('reading drops', backend.drops(host));
      return {
        items: items.filter(
          (drop) =>
            (tenant === undefined || drop.tenant === tenant) &&
            (endpoint === undefined || drop.endpoint === endpoint) &&
            (all || drop.packets > 0),
        ),
        silent,
      };
    },
  );

  server.get(
    '/v1/stats/rules',
    {
      schema: {
        summary: 'What rules and defaults of policies have decided',
        description:
          'Summed over the switches, and counted on when a switch or its connection starts again, as far as it had been read before.',
        tags: ['policy'],
        querystring: Type.Object({
          tenant: filter('Only those of this tenant'),
          policy: filter('Only those of this policy, TENANT/POLICY'),
        }),
        response: { 200: RuleCountersAnswer, ...ERRORS },
      },
    },
    async ({ query: { tenant, policy } }) => {
      const { items, silent } = await answered('reading the counters of rules', backend.ruleCounters());
      const ofPolicy = (item: string): boolean => item === policy || item.startsWith(`${policy}/`);
      return {
        items: items.filter(
          (item) =>
            (tenant === undefined || item.tenant === tenant) && (policy === undefined || ofPolicy(item.name)),
        ),
        silent,
      };
    },
  );

  function mustBe(kind: 'Host' | 'Endpoint', name: string | undefined): void {
    if (name === undefined || backend.model.get(kind, name) !== undefined) return;
    throw new ApiError(404, 'object.not-found', `there is no ${kind} ${name}`, {
      fix: 'hosts are named HOST, endpoints TENANT/NETWORK/ENDPOINT',
    });
  }

  async function answered<T>(what: string, work: Promise<T>): Promise<T> {
    if (context.stopping) throw new ApiError(503, 'http.stopping', 'the controller is stopping');
    return await withDeadline(config.requestTimeoutMs, what, work);
  }
}
