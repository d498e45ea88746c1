"""The peer of bench/codec.ts: the same flow_mods built, encoded and decoded by os-ken, asked line by line on standard input."""
import sys
import time

from os_ken.ofproto import ofproto_parser, ofproto_v1_3, ofproto_v1_3_parser


class Datapath:
    ofproto = ofproto_v1_3
    ofproto_parser = ofproto_v1_3_parser


datapath = Datapath()


def mac(number):
    return ":".join(f"{number >> shift & 255:02x}" for shift in range(40, -1, -8))


def build(n):
    parser = ofproto_v1_3_parser
    match = parser.OFPMatch(
        in_port=1 + (n & 0xFF), eth_type=0x0800, ip_proto=6, ipv4_dst=0x0A000000 + n, tcp_dst=n & 0xFFFF
    )
    actions = [parser.OFPActionSetField(eth_dst=mac(0x020200000000 + n)), parser.OFPActionOutput(5, 0)]
    return parser.OFPFlowMod(
        datapath,
        cookie=n,
        table_id=7,
        priority=100,
        out_port=ofproto_v1_3.OFPP_ANY,
        out_group=ofproto_v1_3.OFPG_ANY,
        match=match,
        instructions=[parser.OFPInstructionActions(ofproto_v1_3.OFPIT_APPLY_ACTIONS, actions)],
    )


def encode(n):
    message = build(n)
    message.set_xid(n)
    message.serialize()
    return message.buf


def decode(buf):
    version, kind, length, xid = ofproto_parser.header(buf)
    return ofproto_parser.msg(datapath, version, kind, length, xid, buf)


def rate(work, count):
    begin = time.perf_counter()
    for n in range(count):
        work(n)
    return count / (time.perf_counter() - begin)


sample = bytes(encode(1))
for line in sys.stdin:
    what, number = line.split()
    if what == "bytes":
        answer = encode(int(number)).hex()
    elif what == "encode":
        answer = rate(encode, int(number))
    else:
        answer = rate(lambda _: decode(sample), int(number))
    print(answer, flush=True)
