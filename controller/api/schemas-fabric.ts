/** TypeBox schemas of the fabric. */
import Type from 'typebox';

const text = (description?: string) => Type.String(description === undefined ? {} : { description });
const count = (description?: string) =>
  Type.Integer({ minimum: 0, ...(description === undefined ? {} : { description }) });

const datapathId = text('16 lower-case hexadecimal digits');
const PortRef = Type.Object({ datapathId, port: count('OpenFlow port number') });
const Role = Type.Unsafe<'unknown' | 'edge' | 'link' | 'blocked'>({
  type: 'string',
  enum: ['unknown', 'edge', 'link', 'blocked'],
  description:
    'edge: stations; link: another switch of the fabric; blocked: another way to where an edge port leads; unknown: not decided, closed',
});

export const FabricAnswer = Type.Object({
  switches: Type.Array(
    Type.Object({
      datapathId,
      number: count('By which entries name it'),
      connected: Type.Boolean({ description: 'False: it forwards on as it was told last' }),
      ports: count(),
      links: count(),
      stations: count(),
    }),
  ),
  ports: Type.Array(
    Type.Object({
      datapathId,
      port: count('OpenFlow port number'),
      name: text(),
      role: Role,
      up: Type.Boolean(),
      neighbour: Type.Optional(PortRef),
      stations: count(),
      reason: Type.Optional(text('Why it has its role')),
    }),
  ),
  links: Type.Array(Type.Object({ from: PortRef, to: PortRef }), {
    description: 'Each once, both directions are heard',
  }),
  stations: Type.Array(
    Type.Object({
      mac: text(),
      vlan: count('0: untagged'),
      datapathId,
      port: count('OpenFlow port number'),
      lastSeen: count('Milliseconds since 1970'),
      moves: count('How often it was found at another port'),
    }),
  ),
  probes: Type.Object(
    {
      sent: count(),
      accepted: count(),
      foreign: count('LLDP of others'),
      forged: count('Not sent by this controller'),
      replayed: count('Too old, or heard before'),
      reflected: count('Back at the port it was sent from'),
    },
    { description: 'LLDP frames, by what was made of them' },
  ),
  learning: Type.Object(
    {
      learned: count(),
      moved: count(),
      aged: count(),
      reinjected: count('Frames sent back to their switch to be forwarded'),
      invalidSource: count('From a group or zero address'),
      overPortLimit: count('Not learned: the port has as many as it may'),
      overTotalLimit: count('Not learned: the fabric has as many as it may'),
      flapping: count('Dropped: the station was seen at two ports in turn'),
      notEdge: count('From ports that are no edge ports any more'),
    },
    { description: 'Frames of stations that their switch did not know, and stations forgotten' },
  ),
});
