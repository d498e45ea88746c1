/** A trace that cannot be made as it was asked for. */
export class TraceError extends Error {
  override readonly name = 'TraceError';
  readonly path?: string;
  readonly fix?: string;

  /** @param code dotted: `trace.endpoint.not-attached`; `object.unknown` for an endpoint that is not there */
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
