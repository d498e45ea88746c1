/** TypeBox schemas of what is told of packets. */
import Type from 'typebox';

const count = (description: string) => Type.Integer({ minimum: 0, description });
const text = (description?: string) =>
  Type.Optional(Type.String(description === undefined ? {} : { description }));

const Silent = Type.Array(Type.Object({ datapathId: Type.String(), host: text(), reason: Type.String() }), {
  description: 'Switches that are away or did not answer',
});

export const DropsAnswer = Type.Object({
  items: Type.Array(
    Type.Object({
      cause: Type.String({ description: 'For programs: policy.rule, spoofed.ipv4-source' }),
      text: Type.String({ description: 'For people' }),
      datapathId: Type.String(),
      host: text(),
      table: Type.String({ description: 'Table of the pipeline that holds the entry' }),
      endpoint: text('Who sent them, or to whom they went, where the entry is about one endpoint'),
      network: text(),
      tenant: text(),
      rule: text('TENANT/POLICY/RULE'),
      policy: text('TENANT/POLICY'),
      packets: count('Since the entry was made'),
      bytes: count('Of these packets'),
      countedAgain: Type.Optional(
        Type.Literal(true, {
          description: 'They went on to an entry about their sender and are counted there too',
        }),
      ),
    }),
  ),
  silent: Silent,
});

export const RuleCountersAnswer = Type.Object({
  items: Type.Array(
    Type.Object({
      name: Type.String({
        description: 'TENANT/POLICY/RULE; TENANT/POLICY or TENANT where their default decided',
      }),
      kind: Type.Unsafe<'rule' | 'policy-default' | 'tenant-default'>({
        type: 'string',
        enum: ['rule', 'policy-default', 'tenant-default'],
      }),
      tenant: Type.String(),
      direction: Type.Unsafe<'in' | 'out'>({ type: 'string', enum: ['in', 'out'] }),
      packets: count('Packets it decided on, of both directions of the connections'),
      bytes: count('Of these packets'),
      connections: count('First packets of connections; of deny and reject every attempt; of defaults 0'),
      switches: count('Switches that hold it now and answered'),
    }),
  ),
  silent: Silent,
});
