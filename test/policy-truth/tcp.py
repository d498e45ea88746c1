"""TCP as the kernel speaks it: numbers that are sent, echoed, and come back in order.

    tcp.py serve PORT...            echoes on these ports
    tcp.py send ADDRESS PORT...     one connection to each; every line is a JSON object {PORT: how many numbers came back}

Ends with an error where a number comes back out of order.
"""
import json
import selectors
import socket
import struct
import sys
import time

PAUSE = 0.005
SIZE = 8


def serve(ports):
    selector = selectors.DefaultSelector()
    for port in ports:
        listener = socket.create_server(("", port))
        selector.register(listener, selectors.EVENT_READ, True)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.data:
                connection, _ = key.fileobj.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ, False)
                continue
            data = key.fileobj.recv(65536)
            if data == b"":
                selector.unregister(key.fileobj)
            else:
                key.fileobj.sendall(data)


def send(address, ports):
    connections = {}
    for port in ports:
        connection = socket.create_connection((address, port), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        connections[port] = [connection, 0, 0, b""]
    while True:
        for state in connections.values():
            connection, sent, returned, rest = state
            # Not much is under way at most; where the kernel takes no more all the same, the number is sent later.
            if sent - returned < 200:
                try:
                    connection.send(struct.pack("!Q", sent))
                    state[1] = sent + 1
                except BlockingIOError:
                    pass
            try:
                rest += connection.recv(65536)
            except BlockingIOError:
                pass
            while len(rest) >= SIZE:
                (number,) = struct.unpack_from("!Q", rest)
                if number != returned:
                    sys.exit(f"{number} came back, {returned} was due")
                returned += 1
                rest = rest[SIZE:]
            state[2:] = [returned, rest]
        print(json.dumps({port: state[2] for port, state in connections.items()}), flush=True)
        time.sleep(PAUSE)


if sys.argv[1] == "serve":
    serve([int(port) for port in sys.argv[2:]])
else:
    send(sys.argv[2], [int(port) for port in sys.argv[3:]])
