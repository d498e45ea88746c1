// Adds up the TAP files of one run of test/run.sh and prints "N passed, N failed[, N skipped]" as the last line.
// usage: node test/total.mjs DIRECTORY   with <kind>.tap and <kind>.exit (the runner's exit code) in it
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [directory = '.'] = process.argv.slice(2);
const total = { pass: 0, fail: 0, skip: 0 };
const kinds = readdirSync(directory).filter((name) => name.endsWith('.exit'));
for (const file of kinds) {
  const kind = file.slice(0, -'.exit'.length);
  const exitCode = Number(readFileSync(join(directory, file), 'utf8'));
  const tap = join(directory, `${kind}.tap`);
  const text = existsSync(tap) ? readFileSync(tap, 'utf8') : '';
  // tap's own sum over all files: "# { total: 5, pass: 3, fail: 1, skip: 1 }", at the left margin
  const counts = [...text.matchAll(/^# \{ (.*) \}$/gm)].at(-1)?.[1] ?? '';
  const count = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(counts)?.[1] ?? 0);
  total.pass += count('pass');
  total.skip += count('skip') + count('todo');
  // A runner that ended badly without counting a failure (a crash, a time-out) is one.
  total.fail += Math.max(count('fail'), exitCode === 0 ? 0 : 1);
}
if (kinds.length === 0 || total.pass + total.fail === 0) total.fail = Math.max(total.fail, 1); // nothing ran
console.log(`${total.pass} passed, ${total.fail} failed${total.skip > 0 ? `, ${total.skip} skipped` : ''}`);
process.exitCode = total.fail === 0 ? 0 : 1;
