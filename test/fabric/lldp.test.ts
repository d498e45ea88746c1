/** LLDP frames, and probes in them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { decodeLldp, encodeLldp, type LldpFrame, NEAREST_BRIDGE } from '../../controller/fabric/lldp.js';
import { Probes } from '../../controller/fabric/probes.js';
import { isInstalled, frameFields } from '../ofproto/foreign-decoders.js';
import { dpid, end, SimulatedFabric } from './simulated-fabric.js';

const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
const text = fc.string({ maxLength: 60, unit: 'grapheme-ascii' });
const plain = { noNullPrototype: true };
const identifier = fc.record({ subtype: fc.integer({ min: 0, max: 255 }), id: bytes(1, 255) }, plain);
const frames: fc.Arbitrary<LldpFrame> = fc.record(
  {
    destination: fc.maxSafeNat().map((value) => value % 2 ** 48),
    source: fc.maxSafeNat().map((value) => value % 2 ** 48),
    lldpdu: fc.record(
      {
        chassisId: identifier,
        portId: identifier,
        ttl: fc.integer({ min: 0, max: 0xffff }),
        portDescription: text,
        systemName: text,
        organisations: fc.array(
          fc.record(
            {
              oui: fc.integer({ min: 0, max: 0xffffff }),
              subtype: fc.integer({ min: 0, max: 255 }),
              information: bytes(0, 507),
            },
            plain,
          ),
          { maxLength: 4 },
        ),
      },
      { requiredKeys: ['chassisId', 'portId', 'ttl', 'organisations'], noNullPrototype: true },
    ),
  },
  plain,
);

t.test('what is encoded is decoded; anything else is refused and never thrown at', async (t) => {
  fc.assert(fc.property(frames, (frame) => assert.deepEqual(decodeLldp(encodeLldp(frame)), frame)));
  fc.assert(
    fc.property(frames, fc.nat(), fc.nat(255), fc.nat(), (frame, at, value, length) => {
      const damaged = Uint8Array.from(encodeLldp(frame));
      damaged[at % damaged.length] = value;
      decodeLldp(damaged.subarray(0, length % (damaged.length + 1)));
    }),
  );
  fc.assert(fc.property(bytes(0, 300), (junk) => void decodeLldp(junk)));
  fc.assert(
    fc.property(bytes(0, 300), (junk) => {
      const frame = new Uint8Array(14 + junk.length);
      frame.set([0x88, 0xcc], 12);
      frame.set(junk, 14);
      decodeLldp(frame);
    }),
  );
  t.equal(decodeLldp(new Uint8Array(60)), undefined);
  const long = { subtype: 7, id: new Uint8Array(256) };
  const [sample] = fc.sample(frames, 1);
  if (sample === undefined) throw new Error('no sample');
  t.throws(() => encodeLldp({ ...sample, lldpdu: { ...sample.lldpdu, chassisId: long } }), /takes 256/);
});

t.test('probes prove where they come from, for a while', async (t) => {
  const source = {
    datapathId: dpid(0xabcdef),
    port: 0xfffffeff,
    name: 'eth1',
    hardwareAddress: 0x0200_0000_0001,
  };
  const probes = new Probes(3_000);
  const frame = probes.frame(source, 'segment', 5_000.5);
  t.same(probes.verify(frame, 5_010), {
    datapathId: dpid(0xabcdef),
    port: 0xfffffeff,
    reach: 'segment',
    sentAt: 5_000.5,
  });
  t.equal(probes.verify(probes.frame(source, 'neighbour', 0), 1)?.reach, 'neighbour');
  t.equal(probes.verify(frame, 8_001), undefined);
  t.match(probes.counters, { sent: 2, replayed: 1, forged: 0 });
  t.equal(new Probes(3_000).verify(frame, 5_010), undefined, 'of another process');

  let forged = 0;
  const body = frame.indexOf(0x57, 60);
  for (let at = body + 1; at < body + 1 + 38; at++) {
    const altered = Uint8Array.from(frame);
    altered[at] = (altered[at] ?? 0) ^ 1;
    t.equal(probes.verify(altered, 5_010), undefined);
    forged++;
  }
  t.equal(probes.counters.forged, forged, 'every bit of it counts');
  const other = encodeLldp({
    destination: NEAREST_BRIDGE,
    source: 1,
    lldpdu: {
      chassisId: { subtype: 4, id: randomBytes(6) },
      portId: { subtype: 5, id: Buffer.from('eth0') },
      ttl: 120,
      organisations: [],
    },
  });
  t.equal(probes.verify(other, 5_010), undefined);
  t.equal(probes.counters.foreign, 1);
});

t.test('a station that forges or repeats probes makes no link', async (t) => {
  const fabric = new SimulatedFabric();
  fabric.connect(1, 2);
  fabric.connect(2, 2);
  const heard: Uint8Array[] = [];
  const carry = fabric.carry.bind(fabric);
  fabric.carry = (from, frame) => {
    if (from === end(1, 1)) heard.push(frame);
    carry(from, frame);
  };
  await fabric.clock.advance(1_000);
  const [probe] = heard;
  if (probe === undefined) throw new Error('no probe');
  fabric.deliver(end(1, 1), probe);
  t.equal(fabric.service.report().probes.reflected, 1, 'sent back where it came from');
  const strange = new Probes(3_000).frame(
    { datapathId: dpid(2), port: 1, name: '', hardwareAddress: 2 },
    'neighbour',
    fabric.clock.now(),
  );
  fabric.deliver(end(1, 1), strange);
  t.equal(fabric.service.report().probes.forged, 1);
  await fabric.clock.advance(3_000);
  fabric.deliver(end(2, 1), probe);
  t.equal(fabric.service.report().probes.replayed, 1, 'too late');
  t.equal(fabric.facts.links.size, 0);
  t.equal(fabric.roles()[end(1, 1)], 'edge');

  // In time it is as good as a cable in that direction: both ends close, and it counts once.
  const last = heard.at(-2);
  if (last === undefined) throw new Error('no probe');
  fabric.deliver(end(2, 1), last);
  fabric.deliver(end(2, 1), last);
  t.equal(fabric.service.report().probes.replayed, 2);
  t.equal(fabric.facts.links.size, 0);
  t.notOk(fabric.facts.fabricPorts.has(end(2, 1)));
  await fabric.clock.advance(10_000);
  t.equal(fabric.roles()[end(2, 1)], 'edge', 'until it stops');
});

const wireshark = isInstalled('tshark') ? {} : { skip: 'tshark is not installed' };

t.test('tshark reads in a probe what was meant', wireshark, async (t) => {
  const source = { datapathId: dpid(0xa1), port: 3, name: 's1-eth3', hardwareAddress: 0x0200_0000_0103 };
  const probes = new Probes(3_000);
  const [near, far] = frameFields(
    [probes.frame(source, 'neighbour', 1), probes.frame(source, 'segment', 1)],
    [
      'eth.dst',
      'eth.src',
      'lldp.chassis.id',
      'lldp.port.id',
      'lldp.time_to_live',
      'lldp.port.desc',
      'lldp.tlv.system.name',
      'lldp.orgtlv.oui',
      '_ws.malformed',
    ],
  );
  t.match(near, {
    'eth.dst': ['01:80:c2:00:00:0e'],
    'eth.src': ['02:00:00:00:01:03'],
    'lldp.port.id': ['3'],
    'lldp.time_to_live': ['4'],
    'lldp.port.desc': ['s1-eth3'],
    'lldp.tlv.system.name': ['weft-00000000000000a1'],
    'lldp.orgtlv.oui': [`${0x0026e1}`],
    '_ws.malformed': [],
  });
  t.match(far, { 'lldp.port.id': ['3'], '_ws.malformed': [] });
});
