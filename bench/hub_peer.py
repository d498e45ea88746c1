"""The peer of bench/hub.ts: a JSON-RPC 2.0 echo and fan-out server on asyncio, the way one writes it with the standard library."""
import asyncio
import json

writers = set()


async def serve(reader, writer):
    writers.add(writer)
    try:
        while line := await reader.readline():
            request = json.loads(line)
            params = request["params"]
            if request["method"] == "bench.fanOut":
                message = {"jsonrpc": "2.0", "method": "bench.news", "params": params["news"]}
                data = (json.dumps(message, separators=(",", ":")) + "\n").encode()
                for i in range(params["count"]):
                    for other in writers:
                        other.write(data)
                    if i % params["perTurn"] == 0:
                        await asyncio.sleep(0)
                result = None
            else:
                result = params
            answer = {"jsonrpc": "2.0", "id": request["id"], "result": result}
            writer.write((json.dumps(answer, separators=(",", ":")) + "\n").encode())
            await writer.drain()
    except ConnectionResetError:
        pass
    finally:
        writers.discard(writer)
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
