/** A tree of hosts as text, each below the one that is nearer to the root. */

/** @param edges pairs of neighbours, the one nearer to the root first */
export function treeLines(root: string, edges: readonly (readonly [string, string])[]): string[] {
  const below = new Map<string, string[]>();
  for (const [upper, lower] of edges) {
    const known = below.get(upper) ?? [];
    known.push(lower);
    below.set(upper, known);
  }
  const lines = [root];
  const draw = (name: string, indent: string): void => {
    const names = [...(below.get(name) ?? [])].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    names.forEach((lower, index) => {
      const last = index === names.length - 1;
      lines.push(`${indent}${last ? '└─' : '├─'} ${lower}`);
      draw(lower, `${indent}${last ? '  ' : '│ '} `);
    });
  };
  draw(root, '');
  return lines;
}
