/** What policy tells the controller of a packet, in bytes. */
import fc from 'fast-check';
import t from 'tap';
import { decodePunt, encodePunt, type Punt } from '../../apps/policy/punt.js';

const punts: fc.Arbitrary<Punt> = fc.record({
  verdict: fc.constantFrom('allow', 'deny', 'reject'),
  direction: fc.constantFrom('in', 'out'),
  decider: fc.record({
    kind: fc.constantFrom('rule', 'policy', 'tenant'),
    number: fc.integer({ min: 1, max: 0xffffffff }),
  }),
});

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
