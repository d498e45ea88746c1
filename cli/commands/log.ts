/** `weft log`: levels of the controller's log. */
import type { Client } from '../client.js';
import { Exit } from '../exit.js';
import { writeJson, writeLine } from '../output.js';

interface Levels {
  readonly level: string;
  readonly levels: Readonly<Record<string, string>>;
}

export async function log(
  client: Client,
  level: string | undefined,
  { component, json }: { component?: string; json: boolean },
): Promise<Exit> {
  const answer =
    level === undefined
      ? await client.get<Levels>('/v1/log')
      : await client.put<Levels>('/v1/log', {
          body: { level, ...(component === undefined ? {} : { component }) },
        });
  if (json) {
    writeJson(answer);
  } else {
    writeLine(`everything: ${answer.level}`);
    for (const [name, own] of Object.entries(answer.levels)) writeLine(`${name}: ${own}`);
  }
  return Exit.ok;
}
