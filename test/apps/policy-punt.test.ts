/** What policy tells the controller of a packet, in bytes. */
import fc from 'fast-check';
import t from 'tap';
import { decodePunt, encodePunt, type Punt } from '../../apps/policy/punt.js';

const punts: fc.Arbitrary<Punt> = fc
  .tuple(
    fc.constantFrom('allow' as const, 'deny' as const, 'reject' as const),
    fc.constantFrom('in' as const, 'out' as const),
    fc.constantFrom('rule' as const, 'policy' as const, 'tenant' as const),
    fc.integer({ min: 1, max: 0xffffffff }),
  )
  .map(([verdict, direction, kind, number]) => ({ verdict, direction, decider: { kind, number } }));

t.test('user data', async (t) => {
  t.strictSame(
    [...encodePunt({ verdict: 'deny', direction: 'in', decider: { kind: 'rule', number: 0x01020304 } })],
    [0x57, 0x4c, 1, 1, 1, 2, 3, 4, 0, 0, 0, 0, 1, 0],
  );
  t.strictSame(
    [...encodePunt({ verdict: 'deny', direction: 'out', decider: { kind: 'tenant', number: 7 } })],
    [0x57, 0x4c, 1, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 2],
  );
  fc.assert(
    fc.property(punts, (punt) => {
      t.strictSame(decodePunt(encodePunt(punt)), punt);
    }),
    { numRuns: 50 },
  );
  const others = [
    [],
    [0x57, 0x4c],
    [0x57, 0x4c, 2, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
    [0x57, 0x4c, 1, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
  ];
  for (const bytes of others) t.equal(decodePunt(Uint8Array.from(bytes)), undefined);
});
