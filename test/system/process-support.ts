/** Real `weft` processes for tests, with what they log and what HTTP answers. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';
import { waitFor } from '../support/wait-for.js';

const environment = { ...process.env, NODE_OPTIONS: '' };

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly msg: string;
  readonly [member: string]: unknown;
}

/** `weft controller`, as a person starts it. */
export class ControllerProcess {
  readonly lines: LogLine[] = [];
  stderr = '';
  /** Address of HTTP; known once it is ready. */
  http = '';
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  private constructor(private readonly child: ChildProcess) {
    this.ended = once(child, 'exit').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.lines.push(JSON.parse(line) as LogLine);
      });
    }
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
  }

  /** Every listener on a free port unless `args` say otherwise. */
  static spawn(t: Test, data: string, ...args: string[]): ControllerProcess {
    const listeners = ['--openflow', '--hub', '--http'].flatMap((name) => [name, '127.0.0.1:0']);
    const child = spawn('cli/weft', ['controller', ...listeners, '--data', data, ...args], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.teardown(() => child.kill('SIGKILL'));
    return new ControllerProcess(child);
  }

  static async start(t: Test, data: string, ...args: string[]): Promise<ControllerProcess> {
    const controller = ControllerProcess.spawn(t, data, ...args);
    await controller.ready();
    return controller;
  }

  async ready(): Promise<this> {
    this.http = String((await this.event('controller.ready'))['http']);
    return this;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get url(): string {
    return `http://${this.http}`;
  }

  /** The first line of the event; waits for it. */
  async event(name: string): Promise<LogLine> {
    return await waitFor(
      `${name} in the log`,
      () => {
        const line = this.lines.find(({ event }) => event === name);
        if (line === undefined && this.child.exitCode !== null) throw new Error(`it ended: ${this.stderr}`);
        return line;
      },
      30_000,
    );
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async get<T = unknown>(path: string): Promise<T> {
    const { status, body } = await http(this, 'GET', path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${body}`);
    return JSON.parse(body) as T;
  }

  async post(path: string, body: string, contentType = 'application/json'): Promise<HttpAnswer> {
    return await http(this, 'POST', path, { body, headers: { 'content-type': contentType } });
  }

  /** `weft ARGS` against it. */
  async weft(...args: string[]): Promise<Run> {
    return await weft(this.url, ...args);
  }
}

export interface HttpAnswer {
  readonly status: number;
  readonly reason: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** One request on a connection of its own. */
export async function http(
  { http: address }: { readonly http: string },
  method: string,
  path: string,
  { body, headers = {} }: { body?: string; headers?: Readonly<Record<string, string>> } = {},
): Promise<HttpAnswer> {
  const cut = address.lastIndexOf(':');
  return await new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      // not a URL: that would tidy the path
      { host: address.slice(0, cut), port: address.slice(cut + 1), method, path, headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => {
          const { statusCode: status = 0, statusMessage: reason = '' } = response;
          const isJson = response.headers['content-type']?.startsWith('application/json') ?? false;
          const json = (isJson ? JSON.parse(text) : {}) as Readonly<Record<string, unknown>>;
          resolve({ status, reason, headers: response.headers, body: text, json });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

export interface Run {
  readonly exit: number;
  readonly out: string;
  readonly error: string;
  /** Standard output, parsed. */
  readonly json: () => unknown;
}

export async function weft(server: string, ...args: string[]): Promise<Run> {
  return await new Promise((resolve) => {
    execFile('cli/weft', args, { env: { ...environment, WEFT_SERVER: server } }, (error, out, errorText) => {
      const exit = error === null ? 0 : Number(error.code);
      resolve({ exit, out, error: errorText, json: () => JSON.parse(out) as unknown });
    });
  });
}
