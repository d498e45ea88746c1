/** Parser of event streams (WHATWG HTML, section 9.2.6), as far as Weft's controller uses them. */
import type { Readable } from 'node:stream';

export interface ServerSentEvent {
  readonly id?: string;
  readonly event: string;
  readonly data: string;
}

export async function* serverSentEvents(stream: Readable): AsyncGenerator<ServerSentEvent> {
  stream.setEncoding('utf8');
  let rest = '';
  for await (const chunk of stream) {
    rest += chunk as string;
    for (let end = rest.indexOf('\n\n'); end !== -1; end = rest.indexOf('\n\n')) {
      const event = parse(rest.slice(0, end));
      rest = rest.slice(end + 2);
      if (event !== undefined) yield event;
    }
  }
}

function parse(block: string): ServerSentEvent | undefined {
  let id: string | undefined;
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const cut = line.indexOf(':');
    if (cut === 0) continue; // a comment
    const field = cut === -1 ? line : line.slice(0, cut);
    const value = cut === -1 ? '' : line.slice(cut + 1).replace(/^ /, '');
    if (field === 'id') id = value;
    else if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
  }
  if (data.length === 0) return undefined;
  return { event, data: data.join('\n'), ...(id === undefined ? {} : { id }) };
}
