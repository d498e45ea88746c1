/** The log's JSON lines as a person at a terminal reads them: `08:15:02.123 info  channel  switch up  datapathId=…`. */
import type { DestinationStream } from 'pino';

const HIDDEN = new Set(['level', 'time', 'pid', 'component', 'msg', 'event', 'err']);

export function textDestination(output: { write(text: string): unknown }): DestinationStream {
  return { write: (line: string) => void output.write(`${formatLine(line)}\n`) };
}

/** @param line one line as pino writes it */
export function formatLine(line: string): string {
  let record: Record<string, unknown>;
  try {
    record = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line.trimEnd();
  }
  const { level, time, component, msg, event, err } = record;
  const details = Object.entries(record)
    .filter(([name]) => !HIDDEN.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const stack = (err as { stack?: string; message?: string } | undefined)?.stack;
  return [
    `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${String(component ?? '').padEnd(9)} ${String(msg ?? event ?? '')}`,
    ...details,
  ]
    .join('  ')
    .concat(stack === undefined ? '' : `\n${stack}`);
}
