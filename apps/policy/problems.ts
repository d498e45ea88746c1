/**
 * Rules that do nothing as things stand, though somebody is subject to them: nobody is in what they name at the other end, or nobody has
 * the ports that they name. What an intent itself has wrong the model tells when it is applied; this is what became of it since.
 */
import type { AppDeclaration } from '../../controller/datapath/app.js';
import type { DatapathId } from '../../controller/model/facts.js';
import type { Matcher, Rules } from './rules.js';
import { DIRECTIONS, judgement, type Subjection, type Subjects } from './subjects.js';

/** A switch with an endpoint that is subject to a policy in a direction. */
interface Place {
  readonly judgement: string;
  readonly datapathId: DatapathId;
}

export function declareProblems(d: AppDeclaration, { subjections }: Subjects, rules: Rules): void {
  const places = d.derive<Subjection, Place>('places of policies', subjections, (context, subjection, id) => {
    const host = context.get(d.facts.endpoints, id)?.host;
    const datapathId = host === undefined ? undefined : context.get(d.facts.hosts, host)?.datapathId;
    if (datapathId === undefined) return;
    for (const direction of DIRECTIONS) {
      for (const policy of subjection[direction]?.policies ?? []) {
        const key = judgement(direction, policy);
        context.emit(`${key} ${datapathId}`, { judgement: key, datapathId });
      }
    }
  });
  const placesByJudgement = d.index('places by policy', places, (place) => [place.judgement]);

  d.entries<Matcher>('idle rules', rules.matchers, (context, matcher, id) => {
    const others = rules.hasPeers(context, matcher);
    if (others && rules.hasGroups(context, matcher)) return;
    const member = others ? 'groupAddresses' : matcher.direction === 'in' ? 'from' : 'to';
    for (const [, { datapathId }] of context.values(placesByJudgement, matcher.judgement)) {
      context.report(datapathId, {
        code: 'policy.rule.nobody',
        subject: id,
        message: `rule ${id} matches nothing: no endpoint and no address is in what it names as ${member}`,
        fix: 'give its groups members or its address sets addresses, or remove the rule',
      });
    }
  });
}
