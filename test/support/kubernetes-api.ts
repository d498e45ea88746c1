/**
 * An HTTP server that plays a cluster's API: lists in pages, watches with bookmarks, 410 Gone after a compaction, connections that break,
 * chunks that are cut anywhere. Objects are plain JSON; what was asked is remembered.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Resource } from '../../controller/kubernetes/facts.js';
import { PATHS } from '../../controller/kubernetes/reflector.js';

export interface KubernetesObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly [member: string]: unknown;
  };
  readonly [member: string]: unknown;
}

/** Asked of the API. */
export interface Asked {
  readonly verb: 'list' | 'watch';
  readonly resource: string;
  readonly query: Readonly<Record<string, string>>;
}

interface LoggedEvent {
  readonly revision: number;
  readonly resource: Resource;
  readonly line: string;
}

interface Watcher {
  readonly resource: Resource;
  readonly response: ServerResponse;
  /** Events up to here have been sent. */
  sent: number;
}

export const TOKEN = 'of-the-test';

export class FakeKubernetes {
  readonly asked: Asked[] = [];
  /** Bytes in one write; 0: a whole line. */
  chunkBytes = 0;
  /** The watch does not get what happens while this is true; nothing is lost. */
  held = false;
  /** Tokens of pages given out before are no longer good. */
  expirePages = false;
  /** HTTP statuses of the next answers. */
  readonly failures: number[] = [];
  /** Key and certificate, PEM: HTTPS from the next start on. */
  tls: { readonly key: string; readonly cert: string } | undefined;
  readonly #objects = new Map<Resource, Map<string, object>>();
  readonly #log: LoggedEvent[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #sockets = new Set<Socket>();
  #revision = 100;
  /** Watches from before this revision are refused. */
  #compacted = 0;
  #server: Server | undefined;
  #port = 0;
  #writing: Promise<void> = Promise.resolve();

  /** At the same port as before, if it was there before; no matter if it runs. */
  async start(host = '127.0.0.1'): Promise<string> {
    const url = () => `http${this.tls === undefined ? '' : 's'}://${host}:${this.#port}`;
    if (this.#server !== undefined) return url();
    const answer = (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response);
    const { tls } = this;
    const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      server.listen(this.#port, host, resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    return url();
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    this.disconnect();
    await closed;
  }

  /** Breaks all connections. */
  disconnect(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#watchers.clear();
  }

  /** Ends watches in good order, as a server does after `timeoutSeconds`. */
  endWatches(): void {
    for (const { response } of this.#watchers) response.end();
    this.#watchers.clear();
  }

  /** A text for `kubeconfig`. @param authority certificate that is trusted, PEM; without it any is */
  static kubeconfig(server: string, authority?: string): string {
    const trust =
      authority === undefined
        ? { 'insecure-skip-tls-verify': true }
        : { 'certificate-authority-data': Buffer.from(authority).toString('base64') };
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server, ...trust } }],
      users: [{ name: 'weft', user: { token: TOKEN } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'weft' } }],
      'current-context': 'test',
    });
  }

  get watches(): number {
    return this.#watchers.size;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Creates or changes. */
  put(resource: Resource, object: KubernetesObject): void {
    const key = keyOf(object);
    const objects = this.#of(resource);
    const type = objects.has(key) ? 'MODIFIED' : 'ADDED';
    this.#revision += 1;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#revision) } };
    objects.set(key, stored);
    this.#happened(resource, { type, object: stored });
  }

  /** What is no object, as a list or a watch may bring it. */
  putRaw(resource: Resource, key: string, object: object): void {
    this.#revision += 1;
    this.#of(resource).set(key, object);
    this.#happened(resource, { type: 'ADDED', object });
  }

  delete(resource: Resource, key: string): void {
    const object = this.#of(resource).get(key);
    if (!this.#of(resource).delete(key)) throw new Error(`there is no ${resource} ${key}`);
    this.#revision += 1;
    const metadata = { ...(object as KubernetesObject).metadata, resourceVersion: String(this.#revision) };
    this.#happened(resource, { type: 'DELETED', object: { ...object, metadata } });
  }

  /** Takes objects away without an event that a later watch could see. */
  compact(): void {
    this.#compacted = this.#revision;
  }

  /** To all watches. */
  bookmark(): void {
    this.#revision += 1;
    for (const resource of Object.keys(PATHS) as Resource[]) {
      const object = { kind: 'Any', metadata: { resourceVersion: String(this.#revision) } };
      this.#happened(resource, { type: 'BOOKMARK', object });
    }
  }

  /** An event that ends the watches of a resource. */
  error(resource: Resource, code: number): void {
    this.sendLine(
      resource,
      JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code, message: 'told so' } }),
    );
  }

  /** A line as it is. */
  sendLine(resource: Resource, line: string): void {
    for (const watcher of this.#watchers)
      if (watcher.resource === resource) this.#write(watcher.response, `${line}\n`);
  }

  /** Sends what was held. */
  release(): void {
    this.held = false;
    for (const watcher of this.#watchers) this.#send(watcher);
  }

  /** What has been asked since `from`, as `list pods`. */
  verbs(from = 0): string[] {
    return this.asked.slice(from).map(({ verb, resource }) => `${verb} ${resource}`);
  }

  #of(resource: Resource): Map<string, object> {
    let objects = this.#objects.get(resource);
    if (objects === undefined) this.#objects.set(resource, (objects = new Map()));
    return objects;
  }

  #happened(resource: Resource, event: object): void {
    this.#log.push({ revision: this.#revision, resource, line: JSON.stringify(event) });
    if (this.held) return;
    for (const watcher of this.#watchers) if (watcher.resource === resource) this.#send(watcher);
  }

  #send(watcher: Watcher): void {
    const events = this.#log.filter(
      ({ resource, revision }) => resource === watcher.resource && revision > watcher.sent,
    );
    watcher.sent = this.#revision;
    if (events.length > 0) this.#write(watcher.response, events.map(({ line }) => `${line}\n`).join(''));
  }

  #write(response: ServerResponse, text: string): void {
    if (this.chunkBytes === 0) {
      response.write(text);
      return;
    }
    const bytes = Buffer.from(text);
    const { chunkBytes } = this;
    // Each write in a turn of its own, so that they are chunks of their own for the reader too.
    this.#writing = this.#writing.then(async () => {
      for (let start = 0; start < bytes.length; start += chunkBytes) {
        response.write(bytes.subarray(start, start + chunkBytes));
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://cluster');
    const query = Object.fromEntries(url.searchParams);
    const resource = (Object.keys(PATHS) as Resource[]).find((one) => PATHS[one] === url.pathname);
    const isWatch = query['watch'] === '1';
    this.asked.push({ verb: isWatch ? 'watch' : 'list', resource: resource ?? url.pathname, query });
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return refuse(response, 401, 'Unauthorized');
    const failure = this.failures.shift();
    if (failure !== undefined) return refuse(response, failure, 'told so');
    if (resource === undefined || request.method !== 'GET') return refuse(response, 404, 'NotFound');
    if (isWatch) this.#watch(resource, query, response);
    else this.#list(resource, query, response);
  }

  #list(resource: Resource, query: Readonly<Record<string, string>>, response: ServerResponse): void {
    const [token, at = '0'] = (query['continue'] ?? '').split(':');
    if (token !== '' && this.expirePages) {
      this.expirePages = false;
      return refuse(response, 410, 'Expired');
    }
    const start = Number(at);
    const all = [...this.#of(resource).values()];
    const limit = Number(query['limit'] ?? all.length);
    const more = start + limit < all.length;
    const metadata = {
      resourceVersion: token === '' || token === undefined ? String(this.#revision) : token,
      ...(more ? { continue: `${token === '' ? this.#revision : token}:${start + limit}` } : {}),
    };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ kind: 'List', metadata, items: all.slice(start, start + limit) }));
  }

  #watch(resource: Resource, query: Readonly<Record<string, string>>, response: ServerResponse): void {
    const from = Number(query['resourceVersion']);
    response.setHeader('content-type', 'application/json');
    response.flushHeaders();
    if (from < this.#compacted) {
      this.#write(response, `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410 } })}\n`);
      response.end();
      return;
    }
    const watcher: Watcher = { resource, response, sent: from };
    this.#watchers.add(watcher);
    response.on('close', () => this.#watchers.delete(watcher));
    this.#send(watcher);
  }
}

function keyOf({ metadata: { namespace, name } }: KubernetesObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function refuse(response: ServerResponse, code: number, reason: string): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ kind: 'Status', status: 'Failure', code, reason, message: reason }));
}

export const namespaceObject = (
  name: string,
  labels: Readonly<Record<string, string>> = {},
): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } },
});

export const nodeObject = (
  name: string,
  annotations: Readonly<Record<string, string>> = {},
): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, annotations },
  status: {
    addresses: [{ type: 'InternalIP', address: '192.168.2.10' }],
    conditions: [{ type: 'Ready', status: 'True' }],
  },
});

/** @param id `shop/web-0` */
export function podObject(
  id: string,
  {
    labels = {},
    node = 'h1',
    phase = 'Running',
    ports = [],
    addresses = [],
    spec = {},
  }: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly node?: string;
    readonly phase?: string;
    readonly ports?: readonly object[];
    readonly addresses?: readonly string[];
    readonly spec?: object;
  } = {},
): KubernetesObject {
  const [namespace = '', name = ''] = id.split('/');
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, uid: `uid-of-${id}`, labels, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      ...(node === '' ? {} : { nodeName: node }),
      containers: [{ name: 'main', image: 'busybox', ports }],
      ...spec,
    },
    status: { phase, podIPs: addresses.map((ip) => ({ ip })) },
  };
}

/** @param id `shop/web` */
export function policyObject(id: string, spec: object): KubernetesObject {
  const [namespace = '', name = ''] = id.split('/');
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace, name },
    spec,
  };
}
