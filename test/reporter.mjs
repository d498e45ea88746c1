// Filters TAP version 14 on its standard input into what a log needs: a line per test file as it ends, and of a failed
// file every failed assertion with its diagnostics. test/run.sh shows this.
import { createInterface } from 'node:readline';

/** Lines since the last result at the left margin: the body of the file that is about to end. */
let body = [];

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const result = /^(not )?ok \d+ - (.*?)(?: # time=([\d.]+)ms)?$/.exec(line);
  if (result === null) {
    body.push(line);
    continue;
  }
  const [, failed, name = '', milliseconds] = result;
  const seconds = milliseconds === undefined ? '' : `  ${(Number(milliseconds) / 1000).toFixed(1)} s`;
  console.log(
    `${failed === undefined ? 'ok    ' : 'FAILED'}  ${name.replace(/^dist\/test\//, '')}${seconds}`,
  );
  if (failed !== undefined) for (const text of failures(body)) console.log(text);
  body = [];
}

/** The failed results of a TAP body with their YAML diagnostics, and lines that are no TAP at all. */
function failures(lines) {
  const kept = [];
  let inDiagnostics = false;
  let keepDiagnostics = false;
  let depth = 0;
  for (const line of lines) {
    const text = line.trim();
    if (inDiagnostics) {
      if (keepDiagnostics) kept.push(line);
      inDiagnostics = text !== '...';
    } else if (text === '---') {
      inDiagnostics = true;
      if (keepDiagnostics) kept.push(line);
    } else if (/^not ok \d+/.test(text)) {
      const indent = line.search(/\S/);
      keepDiagnostics = indent >= depth; // a parent of what failed has nothing to add
      depth = indent;
      kept.push(line);
    } else if (/^(ok \d+|# |1\.\.\d+|TAP version|$)/.test(text)) {
      keepDiagnostics = false;
      if (text.startsWith('# Subtest')) depth = 0;
    } else {
      kept.push(line);
    }
  }
  return kept;
}
