/** Truth tables: what the intents say, computed naively, against what real packets find. */
import t from 'tap';
import { handWritten, lan, rival, type TruthCase, web } from './policy-cases.js';
import { kubernetesCases } from './policy-kubernetes.js';
import { describe, echo, PolicyStage, sctp, tcp, timestamp, udp } from './policy-support.js';

t.setTimeout(300_000);
const stage = await PolicyStage.start();
t.teardown(() => stage.stop());

const everything = [tcp(80), tcp(8000), tcp(8005), udp(53), udp(8000), sctp(8000), echo, timestamp];

t.test('without policies everybody reaches their network', async (t) => {
  const probes = [web, rival, lan].flatMap((names) => stage.probes(names, everything));
  t.strictSame(await stage.wrong(probes), []);
});

for (const one of [...handWritten, ...kubernetesCases]) {
  t.test(one.name, async (t) => {
    await stage.apply(one.intents);
    await stage.clearCaches();
    const probes = (one.among ?? [web]).flatMap((names) => stage.probes(names, one.services));
    t.strictSame(thoughtOut(one, probes), one.says, 'the evaluator agrees with who wrote the case');
    t.strictSame(await stage.wrong(probes), []);
  });
}

/** What the evaluator says of the probes that the case names. */
function thoughtOut({ says }: TruthCase, probes: ReturnType<typeof stage.probes>): Record<string, string> {
  const answers = probes
    .map((probe) => [describe(probe), stage.expected(probe)] as const)
    .filter(([name]) => name in says);
  return Object.fromEntries(answers);
}
