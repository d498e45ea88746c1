/** Exit codes of `weft`, documented in docs/cli.md. */
export const Exit = {
  ok: 0,
  /** Something unexpected: a bug, a broken pipe, a file that cannot be read. */
  error: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** The controller (or the validation) refused; nothing was changed. */
  refused: 3,
  notFound: 4,
  /** No controller answers at that address, or it does not in time. */
  unreachable: 5,
  /** `weft diff`: something would change. */
  different: 6,
  /** The change is stored, but not every connected switch has acknowledged it. */
  unacknowledged: 7,
  /** `weft trace`: the packet or its answer does not arrive. */
  notAllowed: 8,
} as const;
export type Exit = (typeof Exit)[keyof typeof Exit];

/** Ends a command with an error that people read: what, where, and what to do. */
export class CommandError extends Error {
  override readonly name = 'CommandError';

  constructor(
    readonly exit: Exit,
    message: string,
    /** As the server sent it, for `--json`. */
    readonly detail: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}
