"""Plays conversations of raw Ethernet frames between network namespaces, and tells who saw what.

One process holds a packet socket in every namespace. A conversation is a list of frames; each carries MAGIC, the number of the conversation
(32 bits) and of the step (8 bits), and is sent when the one before it has arrived at the place that sends it. So this knows no protocol, and who
answers is known by where the frame arrived, whatever addresses it has.

Standard input, a JSON value a line, each answered by a line:
  {"open": [{"netns": PATH, "interface": NAME}, ...]}     more places, numbered on
  {"play": [[NUMBER, [[PLACE, HEX], ...]], ...]}          send the first frame of each
  {"seen": true}     {"arrived": [[NUMBER, STEP, PLACE], ...], "others": [[PLACE, HEX], ...]} since it was last asked; others: IP frames
                     without MAGIC
  {"forget": true}   conversations are not gone on with
  {"start": [[NUMBER, PLACE, HEX], ...], "rate": R}       streams: R frames a second of each, all in turn, evenly; behind the step a frame has
                     a 32-bit counter and its complement, which together do not change its checksum
  {"stop": true}     no stream goes on
  {"streams": true}  {NUMBER: {"sent": N, "received": {PLACE: [[FIRST, LAST], ...]}}, ...}: counters that arrived, in the order of arrival
"""
import ctypes
import errno
import json
import os
import selectors
import socket
import struct
import sys
import time

MAGIC = b"\x77\x65\x66\x74\x7e"
TAG_LENGTH = len(MAGIC) + 5
ALL_PROTOCOLS = 3
OUTGOING = 4
BUFFER = 8 << 20
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
CLONE_NEWNET = 0x40000000
IP_TYPES = (b"\x08\x00", b"\x86\xdd")

libc = ctypes.CDLL(None, use_errno=True)
selector = selectors.DefaultSelector()
places = []
conversations = {}
arrived = []
others = []
streams = {}
running = []
turn = 0
next_at = 0.0
pause = 0.0


class Stream:
    def __init__(self, place, frame):
        self.place = place
        self.frame = bytearray(frame)
        self.counter_at = self.frame.find(MAGIC) + TAG_LENGTH
        self.sent = 0
        self.received = {}

    def send(self):
        struct.pack_into("!II", self.frame, self.counter_at, self.sent, self.sent ^ 0xFFFFFFFF)
        self.sent += 1
        places[self.place].send(self.frame)

    def note(self, place, counter):
        ranges = self.received.setdefault(place, [])
        if ranges and ranges[-1][1] == counter - 1:
            ranges[-1][1] = counter
        else:
            ranges.append([counter, counter])


def send_due():
    """Sends what is due, and tells how long there is nothing to send."""
    global turn, next_at
    if not running:
        return None
    while True:
        now = time.monotonic()
        if now < next_at:
            return next_at - now
        # After a stall nothing is made up for: a burst could be lost in a full buffer.
        next_at = max(next_at, now - 4 * pause) + pause
        running[turn % len(running)].send()
        turn += 1


def open_place(netns, interface):
    """A packet socket stays in the namespace in which it was made."""
    with open(netns) as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {netns}")
    place = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    place.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    place.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, BUFFER)
    place.bind((interface, ALL_PROTOCOLS))
    place.setblocking(False)
    selector.register(place, selectors.EVENT_READ, len(places))
    places.append(place)


def send(number, step):
    frames = conversations[number]
    if step < len(frames):
        place, frame = frames[step]
        places[place].send(frame)


def receive(place):
    while True:
        try:
            frame, address = places[place].recvfrom(65535)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENETDOWN:
                raise
            # Its interface has been deleted: nothing comes any more.
            selector.unregister(places[place])
            return
        if address[2] == OUTGOING:
            continue
        at = frame.find(MAGIC)
        # An ICMP error may quote so much of a frame that the magic is in it; it is about a conversation and no part of it.
        if at < 0 or quotes(frame):
            if frame[12:14] in IP_TYPES:
                others.append([place, frame.hex()])
            continue
        number, step = struct.unpack_from("!IB", frame, at + len(MAGIC))
        if number in streams:
            streams[number].note(place, *struct.unpack_from("!I", frame, at + TAG_LENGTH))
            continue
        arrived.append([number, step, place])
        frames = conversations.get(number, ())
        if step + 1 < len(frames) and frames[step + 1][0] == place:
            send(number, step + 1)


def quotes(frame):
    """An ICMP or ICMPv6 error: unreachable and what follows, below the informational types."""
    if frame[12:14] == b"\x08\x00" and frame[23] == 1:
        return frame[34] in (3, 11, 12)
    return frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] < 128


def command(line):
    global arrived, others, running, next_at, pause
    request = json.loads(line)
    for place in request.get("open", ()):
        open_place(place["netns"], place["interface"])
    for number, frames in request.get("play", ()):
        conversations[number] = [(place, bytes.fromhex(frame)) for place, frame in frames]
        send(number, 0)
    if "forget" in request:
        conversations.clear()
    for number, place, frame in request.get("start", ()):
        streams[number] = Stream(place, bytes.fromhex(frame))
        running.append(streams[number])
    if "rate" in request:
        pause = 1 / (request["rate"] * len(running))
        next_at = time.monotonic()
    if "stop" in request:
        running = []
    answer = {}
    if "streams" in request:
        answer = {number: {"sent": one.sent, "received": one.received} for number, one in streams.items()}
    if "seen" in request:
        answer = {"arrived": arrived, "others": others}
        arrived, others = [], []
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main():
    selector.register(0, selectors.EVENT_READ, -1)
    rest = b""
    while True:
        for key, _ in selector.select(send_due()):
            if key.data >= 0:
                receive(key.data)
                continue
            read = os.read(0, 1 << 20)
            if read == b"":
                return
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                command(line)


main()
