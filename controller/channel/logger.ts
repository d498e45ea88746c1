/**
 * What the channel needs of a logger; a pino logger fits as it is. Every record carries `event`, a stable dotted name such as
 * `switch.up`, so that logs can be searched by event and not by wording.
 */
export interface ChannelLogger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export type LogFields = { readonly event: string } & Readonly<Record<string, unknown>>;

const ignore = (): void => {};

/** Says nothing; the default. */
export const silentLogger: ChannelLogger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
