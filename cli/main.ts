/** Entry of `weft`: runs one command, shows its error, sets the exit code. */
import { CommanderError } from 'commander';
import { CommandError, Exit } from './exit.js';
import { buildProgram } from './program.js';

// The reader of a pipe may go away (weft get ... | head); that is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const program = buildProgram((exit) => {
  process.exitCode = exit;
});
for (const command of [program, ...program.commands]) command.exitOverride();

if (process.argv[2] === 'complete') {
  const { addCompletion } = await import('./completion.js');
  addCompletion(program);
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Help and version end with code 0; everything else has been written to standard error already.
    process.exitCode = error.exitCode === 0 ? Exit.ok : Exit.usage;
  } else if (error instanceof CommandError) {
    process.exitCode = error.exit;
    if (process.argv.includes('--json')) {
      const { message, detail } = error;
      process.stdout.write(`${JSON.stringify({ error: { message, ...detail } }, null, 2)}\n`);
    }
    process.stderr.write(`weft: ${error.message}\n`);
  } else {
    process.exitCode = Exit.error;
    process.stderr.write(
      `weft: unexpected: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
  }
}
