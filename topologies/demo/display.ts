/** The demo's output: a table that is redrawn on a terminal, plain lines elsewhere. */
import type { Cell, Reachability } from './reachability.js';

const SIGNS: Readonly<Record<Cell, string>> = {
  pending: '…',
  reached: '✓',
  missing: '✗',
  apart: '·',
  leaked: '!',
};
const LEGEND = '✓ reached   · kept apart   … not tried yet   ✗ should be reached   ! must not be reached';

/** Rows ping columns; members of one network stand together, whoever came first. */
export function renderTable(reachability: Reachability): readonly string[] {
  const members = reachability.members.toSorted((a, b) => a.label.localeCompare(b.label));
  if (members.length === 0) return [];
  const cells = new Map(
    reachability.pairs().map(({ from, to, cell }) => [`${from.label} ${to.label}`, cell]),
  );
  const width = (values: readonly string[]): number => Math.max(...values.map((value) => value.length));
  const label = width(members.map((member) => member.label));
  const address = width(members.map((member) => member.address));
  const host = width(members.map((member) => member.host));
  const numbers = members.map((_, index) => `${index + 1}`.padStart(3)).join('');
  const indent = ' '.repeat(4 + label + 2 + address + 2 + host);
  const rows = members.map((from, index) => {
    const signs = members.map((to) =>
      (from === to ? '-' : SIGNS[cells.get(`${from.label} ${to.label}`) ?? 'pending']).padStart(3),
    );
    const name = `${`${index + 1}`.padStart(3)} ${from.label.padEnd(label)}`;
    return `${name}  ${from.address.padEnd(address)}  ${from.host.padEnd(host)}${signs.join('')}`;
  });
  return [indent + numbers, ...rows, LEGEND];
}

export class Display {
  private readonly started = Date.now();
  private drawn = 0;
  private last = '';

  constructor(
    private readonly stream: NodeJS.WriteStream,
    private readonly live = stream.isTTY,
  ) {}

  /** One line about what happens. */
  step(text: string): void {
    this.erase();
    const seconds = ((Date.now() - this.started) / 1000).toFixed(1).padStart(5);
    this.stream.write(`${seconds} s  ${text}\n`);
    if (this.live) this.draw();
  }

  /** Show the table; on a terminal in place of the last one, elsewhere only when `final`. */
  table(lines: readonly string[], final = false): void {
    const text = lines.map((line) => `${line}\n`).join('');
    if (!this.live) {
      if (final && text !== this.last) this.stream.write(`\n${text}\n`);
      if (final) this.last = text;
      return;
    }
    this.erase();
    this.last = text;
    this.draw();
  }

  private draw(): void {
    if (this.last === '') return;
    this.stream.write(`\n${this.last}`);
    this.drawn = this.last.split('\n').length;
  }

  private erase(): void {
    if (this.drawn > 0) this.stream.write(`\u001B[${this.drawn}A\u001B[J`);
    this.drawn = 0;
  }
}
