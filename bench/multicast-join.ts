/**
 * From joining a group to the first packet of its stream: a receiver on another host than the sender, real Open vSwitch, VXLAN.
 *
 * In the one network Weft listens (IGMP snooping, groups without receivers are dropped): the kernel's report goes to the controller, which learns
 * the receiver, derives its entries and sends them to both hosts. In the other, the peer, multicast is flooded (`snooping: false`): the
 * packets are there already, and a join is the receiver's own business. The difference is what snooping costs a receiver, once; what it saves
 * everybody else are all packets of the stream.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { BridgedLab } from '../test/system/bridging-support.js';
import { compare, inTurn, type Result } from './harness.js';

const GROUP = '239.1.2.3';
const PORT = 5000;
/** A packet every millisecond. */
const SENDER = `
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
due = time.monotonic()
while True:
    s.sendto(b'stream', (sys.argv[1], int(sys.argv[2])))
    due += 0.001
    time.sleep(max(0, due - time.monotonic()))
`;
/** For each line: joins, prints the milliseconds until the first packet, leaves, and waits until nothing comes any more. */
const RECEIVER = `
import socket, struct, sys, time
group, port = sys.argv[1], int(sys.argv[2])
member = struct.pack('=4s4si', socket.inet_aton(group), bytes(4), socket.if_nametoindex('eth0'))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, 49, 0)  # IP_MULTICAST_ALL: nothing without having joined
s.bind(('', port))
raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
raw.bind(('eth0', 0x0800))
flooded = sys.argv[3] == 'flooded'
for line in sys.stdin:
    s.settimeout(30)
    begun = time.monotonic()
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    s.recv(2048)
    took = time.monotonic() - begun
    s.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, member)
    s.setblocking(False)
    try:
        while True: s.recv(2048)
    except BlockingIOError: pass
    raw.settimeout(0.3)
    try:
        while not flooded:
            packet = raw.recv(2048)
            while socket.inet_ntoa(packet[16:20]) != group: packet = raw.recv(2048)
    except TimeoutError: pass
    print(1000 * took, flush=True)
`;

/** A receiver that joins when it is told to. */
class Receiver {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(namespace: string, mode: 'snooped' | 'flooded') {
    const python = ['/usr/bin/python3', '-c', RECEIVER, GROUP, `${PORT}`, mode];
    this.#child = spawn('nsenter', [`--net=${namespace}`, '--', ...python], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (this.#child.stdout === null) throw new Error('no standard output');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Milliseconds. */
  async join(): Promise<number> {
    this.#child.stdin?.write('join\n');
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the receiver has had no packet for 30 s');
    return Number(value);
  }

  stop(): void {
    this.#child.kill();
  }
}

export async function run({ rounds = 20 }: { readonly rounds?: number }): Promise<readonly Result[]> {
  const network = { kind: 'Network', tenant: 'acme', encapsulation: 'vxlan' } as const;
  const bridged = await BridgedLab.start(2, [
    { kind: 'Tenant', name: 'acme' },
    { ...network, name: 'snooped', subnet: '10.1.1.0/24', multicast: { unregistered: 'drop' } },
    { ...network, name: 'flooded', subnet: '10.1.2.0/24', multicast: { snooping: false } },
  ]);
  const receivers: Receiver[] = [];
  try {
    const start = async (mode: 'snooped' | 'flooded'): Promise<Receiver> => {
      const sender = await bridged.attach(`acme/${mode}/sender`, 'h1');
      const endpoint = await bridged.attach(`acme/${mode}/receiver`, 'h2');
      sender.spawn('sender', ['/usr/bin/python3', '-c', SENDER, GROUP, `${PORT}`]);
      const receiver = new Receiver(endpoint.path, mode);
      receivers.push(receiver);
      return receiver;
    };
    const [snooped, flooded] = [await start('snooped'), await start('flooded')];
    await Promise.all([...bridged.lab.hosts.values()].map((host) => host.learnTunnelPeers()));
    const figures = await inTurn(rounds, { weft: () => snooped.join(), peer: () => flooded.join() });
    return [
      compare('join to first packet, a packet every ms', 'ms', figures.weft, 'flooded', figures.peer, {
        better: 'lower',
      }),
    ];
  } finally {
    for (const receiver of receivers) receiver.stop();
    await bridged.stop();
  }
}
