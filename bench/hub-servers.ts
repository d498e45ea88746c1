/** The servers that bench/hub.ts loads, each in a process of its own: `node hub-servers.js hub|bare`. Prints its port. */
import { createServer, type Socket } from 'node:net';
import Type from 'typebox';
import { EndpointAttach, Hub, NotificationType, RequestType, Router } from '../rpc/index.js';

/** The real request with the largest params of daily work, so that validation is paid for. */
const Echo = new RequestType('bench.echo', EndpointAttach.params, EndpointAttach.params);
const News = new NotificationType('bench.news', Type.Record(Type.String(), Type.Unknown()));
const FanOut = new RequestType(
  'bench.fanOut',
  Type.Object({ count: Type.Integer(), perTurn: Type.Integer(), news: News.params }),
  Type.Null(),
);

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function serveHub(): Promise<number> {
  const router = new Router()
    .request(Echo, (params) => params)
    .request(FanOut, async ({ count, perTurn, news }) => {
      for (let i = 0; i < count; i++) {
        hub.fanOut(News, news, hub.peers);
        if (i % perTurn === 0) await turn();
      }
      return null;
    });
  const hub = new Hub({ router });
  const address = await hub.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  return address.kind === 'tcp' ? address.port : 0;
}

/** Lines of JSON and nothing else: no ids, no validation, no bounds. What any server on Node could reach at most. */
function serveBare(): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.setEncoding('utf8');
    sockets.add(socket);
    let rest = '';
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      let answers = '';
      for (const line of lines) {
        const { id, method, params } = JSON.parse(line) as {
          id: number;
          method: string;
          params: { count: number; perTurn: number; news: unknown };
        };
        if (method === 'bench.fanOut') void fanOut(params).then(() => socket.write(answer(id, null)));
        else answers += answer(id, params);
      }
      if (answers !== '') socket.write(answers);
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  });
  const answer = (id: number, result: unknown) => `${JSON.stringify({ jsonrpc: '2.0', id, result })}\n`;
  const fanOut = async ({ count, perTurn, news }: { count: number; perTurn: number; news: unknown }) => {
    const message = `${JSON.stringify({ jsonrpc: '2.0', method: 'bench.news', params: news })}\n`;
    const batch = Buffer.from(message.repeat(perTurn));
    for (let i = 0; i < count; i += perTurn) {
      for (const socket of sockets) socket.write(batch);
      await turn();
    }
  };
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

const port = process.argv[2] === 'bare' ? await serveBare() : await serveHub();
process.stdout.write(`${port}\n`);
