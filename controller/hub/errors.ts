/** Why an agent's call was refused. `code` travels to the agent in `error.data.code`, with path and fix. */
export class HubError extends Error {
  override readonly name = 'HubError';
  readonly path?: string;
  readonly fix?: string;

  constructor(
    readonly code: string,
    message: string,
    detail: { readonly path?: string; readonly fix?: string } = {},
  ) {
    super(message);
    if (detail.path !== undefined) this.path = detail.path;
    if (detail.fix !== undefined) this.fix = detail.fix;
  }
}
