/**
 * Errors of the OVSDB client.
 *
 * | code | meaning |
 * | --- | --- |
 * | `ovsdb.remote.invalid` | the remote is neither `unix:PATH` nor `tcp:HOST:PORT` |
 * | `ovsdb.closed` | the connection was lost, or the client closed, before the answer arrived; a transaction may have happened |
 * | `ovsdb.timeout` | no answer in time; a transaction may have happened |
 * | `ovsdb.protocol` | the peer sent something that is no OVSDB message; the connection is closed |
 * | `ovsdb.refused` | the server answered a request with an error |
 * | `ovsdb.transaction` | an operation of the transaction failed, nothing of it happened; `operation` is its index |
 * | `ovsdb.schema` | the server's database lacks a table or column that the agent needs |
 */
export class OvsdbError extends Error {
  override readonly name = 'OvsdbError';
  readonly fix?: string;
  /** Index of the failed operation, of `ovsdb.transaction`. */
  readonly operation?: number;
  constructor(
    readonly code: string,
    message: string,
    detail: { fix?: string; operation?: number; cause?: unknown } = {},
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    if (detail.fix !== undefined) this.fix = detail.fix;
    if (detail.operation !== undefined) this.operation = detail.operation;
  }
}
