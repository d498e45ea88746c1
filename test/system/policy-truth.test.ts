/** Truth tables: what the intents say, computed naively, against what real packets find. */
import t from 'tap';
import { echo, LAN, PolicyStage, RIVAL, sctp, tcp, timestamp, udp, WEB } from './policy-support.js';

t.setTimeout(300_000);
const stage = await PolicyStage.start();
t.teardown(() => stage.stop());

const web = WEB.map((name) => `acme/web/${name}`);
const rival = RIVAL.map((name) => `rival/web/${name}`);
const lan = [...LAN.map((name) => `acme/lan/${name}`), 'acme/lan/outside'];
const everything = [tcp(80), tcp(8000), tcp(8005), udp(53), udp(8000), sctp(8000), echo, timestamp];

t.test('without policies everybody reaches their network', async (t) => {
  const probes = [web, rival, lan].flatMap((names) => stage.probes(names, everything));
  const begun = Date.now();
  t.strictSame(await stage.wrong(probes), []);
  t.comment(`${probes.length} probes in ${Date.now() - begun} ms`);
});
