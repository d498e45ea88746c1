import fc from 'fast-check';
import t from 'tap';
import { Numbering } from '../../controller/channel/numbering.js';
import { TokenBucket } from '../../controller/channel/token-bucket.js';

t.test('numbering: ranges never overlap and never wrap, xid 0 is never given', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 50 }), (counts) => {
      const numbering = new Numbering({ xid: 0xffff_ffff - 300 });
      const given = new Set<number>();
      for (const count of counts) {
        const first = numbering.xids(count);
        for (let xid = first; xid < first + count; xid++) {
          if (xid < 1 || xid > 0xffff_ffff || given.has(xid)) return false;
          given.add(xid);
        }
      }
      return true;
    }),
  );
  const last = new Numbering({ xid: 0xffff_ffff, bundleId: 0xffff_ffff });
  t.equal(last.xid(), 0xffff_ffff);
  t.equal(last.xid(), 1);
  t.equal(last.bundleId(), 0xffff_ffff);
  t.equal(last.bundleId(), 1);
  t.throws(() => last.xids(0), /count must be an integer/);
  t.end();
});

t.test('token bucket: at most burst + rate * time pass, and no fewer are lost', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 1, max: 100 }),
      fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 200 }),
      (perSecond, burst, gaps) => {
        const bucket = new TokenBucket({ perSecond, burst }, 0);
        let now = 0;
        let taken = 0;
        for (const gap of gaps) {
          now += gap;
          if (bucket.take(now)) taken += 1;
        }
        return taken <= burst + (perSecond * now) / 1000 + 1e-6;
      },
    ),
  );
  const bucket = new TokenBucket({ perSecond: 10, burst: 2 }, 0);
  t.strictSame(
    [bucket.take(0), bucket.take(0), bucket.take(99), bucket.take(100), bucket.take(100)],
    [true, true, false, true, false],
  );
  bucket.giveBack();
  t.ok(bucket.take(100), 'a token given back can be taken again');
  const unlimited = new TokenBucket({ perSecond: Infinity, burst: 1 }, 0);
  t.ok([...Array(1000)].every(() => unlimited.take(0)));
  t.end();
});
