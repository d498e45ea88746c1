/** docs/cli.md: every command and option of `weft`, from the program itself. */
import { buildProgram, EXIT_CODES } from '../../cli/program.js';
import { code, GENERATED, markdownTable } from './markdown.js';

const INTRODUCTION = `# The weft command

\`weft\` speaks to the controller's HTTP API (\`--server\`, or the environment variable \`WEFT_SERVER\`; default
\`http://127.0.0.1:9999\`); \`weft controller\` and \`weft agent\` run the two processes. From a clone it is \`cli/weft\` after
\`npm run build\`; \`npm link\` puts it on the \`PATH\`.

Output is tables for people; \`--json\` writes what programs want, an error too, as \`{"error": {"code", "message", "path",
"fix", ...}}\`. Errors go to standard error, with what is wrong, where, and what to do about it.

Completion: \`source <(weft complete bash)\`, likewise \`zsh\`, \`fish\`, \`powershell\`.`;

export function cliPage(): string {
  const program = buildProgram(() => undefined);
  return [
    GENERATED('cli/program.ts'),
    INTRODUCTION,
    '',
    '## Exit codes',
    '',
    markdownTable(
      ['code', 'meaning'],
      Object.entries(EXIT_CODES).map(([exit, meaning]) => [exit, meaning]),
    ),
    ...program.commands.flatMap((command) => {
      const help = command.createHelp();
      const commandArguments = help.visibleArguments(command);
      const options = help.visibleOptions(command).filter(({ long }) => long !== '--help');
      return [
        '',
        `## ${help.commandUsage(command)}`,
        '',
        sentence(command.description()),
        ...(commandArguments.length === 0
          ? []
          : [
              '',
              markdownTable(
                ['argument', 'meaning'],
                commandArguments.map((one) => [code(one.name()), help.argumentDescription(one)]),
              ),
            ]),
        ...(options.length === 0
          ? []
          : [
              '',
              markdownTable(
                ['option', 'meaning'],
                options.map((option) => [code(option.flags), help.optionDescription(option)]),
              ),
            ]),
      ];
    }),
    '',
  ].join('\n');
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
