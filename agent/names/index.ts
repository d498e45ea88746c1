/** The name server of a host's endpoints, put together. */
import { readFileSync } from 'node:fs';
import { getServers } from 'node:dns';
import { messageOf } from '../error.js';
import type { Logger } from '../logger.js';
import { Forwarder } from './forwarder.js';
import { NAME_SERVER, portOfAsker, prepareLink } from './link.js';
import { type Named, Resolver, type ResolverOptions } from './resolver.js';
import { NameServer } from './server.js';

export { NAME_SERVER, NAME_SERVER_MAC } from './link.js';
export type { Named } from './resolver.js';

export interface NameSettings {
  /** `weft.internal`. */
  readonly domain: string;
  /** Resolvers for all other names, `ADDRESS` or `ADDRESS#PORT`; absent: those of the host. */
  readonly upstreams?: readonly string[];
}

export interface NamesOptions {
  readonly settings: NameSettings;
  readonly bridge: string;
  /** The endpoint at an OpenFlow port of the bridge. */
  endpointAt(port: number): string | undefined;
  lookUp: ResolverOptions['lookUp'];
  readonly logger: Logger;
}

/** Serves names once there is a bridge, and goes on trying while something is in the way. */
export class Names {
  #server: NameServer | undefined;
  #problem = '';

  constructor(private readonly options: NamesOptions) {}

  /** Sentences for people. */
  get problems(): readonly string[] {
    return this.#problem === '' ? [] : [this.#problem];
  }

  /** Call when the bridge is as it should be, again and again: an address that somebody took away comes back. */
  async reconcile(): Promise<void> {
    const { bridge, logger } = this.options;
    try {
      await prepareLink(bridge);
      this.#server ??= await this.#start();
      this.#problem = '';
    } catch (error) {
      const problem = `endpoints have no name server: ${messageOf(error)}`;
      if (problem !== this.#problem) logger.warn({ event: 'names.problem', problem });
      this.#problem = problem;
    }
  }

  async close(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  async #start(): Promise<NameServer> {
    const { settings, endpointAt, lookUp, logger } = this.options;
    const forwarder = new Forwarder({ upstreams: () => settings.upstreams ?? resolversOfHost() });
    const resolver = new Resolver({
      domain: settings.domain,
      lookUp: (question): Promise<Named> => lookUp(question),
      forward: (question, transport) => forwarder.ask(question, transport),
    });
    return await NameServer.start({
      address: NAME_SERVER,
      endpointOf: (address) => {
        const port = portOfAsker(address);
        return port === undefined ? undefined : endpointAt(port);
      },
      answer: (endpoint, message, transport) => resolver.answer(endpoint, message, transport),
      logger,
    });
  }
}

/** Read anew, since they change with the networks that the host is in; what Node read at its start where that cannot be. */
function resolversOfHost(): readonly string[] {
  try {
    const lines = readFileSync('/etc/resolv.conf', 'utf8').split('\n');
    return lines.flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? []);
  } catch {
    return getServers().map((address) => address.replace(/^\[?([^\]]*)\]?:(\d+)$/, '$1#$2'));
  }
}
