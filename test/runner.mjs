// Runs compiled test files, some at a time, and prints one TAP stream in the form of `tap run --reporter=tap`.
// usage: node test/runner.mjs JOBS FILE…
// Every file is a program of its own that prints TAP, so plain node runs it; `tap run` (fine for single files) adds more
// than a second to each, which is longer than most of them take.
import { spawn } from 'node:child_process';

/** A file that has not ended by then is killed and has failed; within it, tap's own time-out (`TAP_TIMEOUT`) names the test. */
const LIMIT_SECONDS = 600;

const [jobs, ...files] = process.argv.slice(2);
const waiting = [...files];
const total = { total: 0, pass: 0, fail: 0, skip: 0, todo: 0 };
let ended = 0;

console.log('TAP version 14');
await Promise.all(Array.from({ length: Math.max(1, Number(jobs) || 1) }, worker));
console.log(`1..${ended}`);
console.log(
  `# { ${Object.entries(total)
    .filter(([name, count]) => count > 0 || name === 'total' || name === 'pass')
    .map(([name, count]) => `${name}: ${count}`)
    .join(', ')} }`,
);
process.exitCode = total.fail > 0 || ended === 0 ? 1 : 0;

async function worker() {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) report(file, await run(file));
}

function run(file) {
  return new Promise((resolve) => {
    const begun = performance.now();
    const child = spawn(process.execPath, ['--enable-source-maps', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { TAP_TIMEOUT: '300', ...process.env, TAP: '1' },
    });
    const output = [];
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
    const limit = setTimeout(() => {
      output.push(Buffer.from(`\n${file} did not end within ${LIMIT_SECONDS} s and was killed\n`));
      child.kill('SIGKILL');
    }, LIMIT_SECONDS * 1000);
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      const text = Buffer.concat(output).toString();
      resolve({
        text,
        failed: code !== 0,
        how: signal ?? `exit code ${code}`,
        time: performance.now() - begun,
      });
    });
  });
}

function report(file, { text, failed, how, time }) {
  // Every file ends with its own sum.
  const sum = [...text.matchAll(/^# \{ (.*) \}$/gm)].at(-1)?.[1] ?? '';
  const count = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(sum)?.[1] ?? 0);
  const fails = Math.max(count('fail'), failed || count('total') === 0 ? 1 : 0);
  for (const name of Object.keys(total)) total[name] += name === 'fail' ? fails : count(name);
  ended += 1;
  const lines = [`# Subtest: ${file}`, ...text.split('\n').map((line) => `    ${line}`)];
  if (fails > 0 && count('fail') === 0)
    lines.push(`    ${file} ended with ${how}, without a failed assertion`);
  lines.push(`${fails > 0 ? 'not ' : ''}ok ${ended} - ${file} # time=${time.toFixed(0)}ms`);
  console.log(lines.join('\n'));
}
