/** What the routes share. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance, FastifyTypeProvider, RawServerDefault } from 'fastify';
import type { Static, TSchema } from 'typebox';
import type { Config } from '../config/schema.js';
import type { Log, Logger } from '../log.js';
import type { Metrics } from '../metrics.js';
import type { ApplyResult } from '../model/types.js';
import type { ApiBackend, SwitchAcknowledgement } from './backend.js';
import type { WatchHub } from './watch.js';

type DeepReadonly<T> = T extends readonly (infer Element)[]
  ? readonly DeepReadonly<Element>[]
  : T extends object
    ? { readonly [Member in keyof T]: DeepReadonly<T[Member]> }
    : T;

/** Types of requests and answers from TypeBox schemas; answers may be made of readonly values. */
export interface TypeProvider extends FastifyTypeProvider {
  validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
  serializer: this['schema'] extends TSchema ? DeepReadonly<Static<this['schema']>> : unknown;
}

export type ApiServer = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeProvider
>;

export interface ApiContext {
  readonly backend: ApiBackend;
  readonly config: Config['http'];
  readonly log: Log;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly watch: WatchHub;
  /** Where HTTP itself listens; absent until it does. */
  listening?: string;
  /** Set when the process is stopping: nothing new is begun. */
  stopping: boolean;
}

/** A written change, and what the switches said of it when the request asked for that. */
export type AcknowledgedResult = ApplyResult & {
  readonly acknowledgements?: readonly SwitchAcknowledgement[];
};

/** Waits for the switches, when the request asks for that and something was written. */
export async function withAcknowledgements(
  { backend, config }: ApiContext,
  { dryRun, wait, timeoutMs }: { dryRun: boolean; wait: 'stored' | 'acknowledged'; timeoutMs: number },
  result: ApplyResult,
): Promise<AcknowledgedResult> {
  if (dryRun || wait !== 'acknowledged') return result;
  const signal = AbortSignal.timeout(Math.min(timeoutMs, config.requestTimeoutMs));
  return { ...result, acknowledgements: await backend.acknowledged(signal) };
}
