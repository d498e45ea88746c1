"""Hosts and tests that the fabric topologies share: torus.py, fat_tree.py, ring.py, dumbbell.py, leaf_spine.py.

Their switches are fabric switches: linked to each other, claimed by no agent, with no intent about them. `npm run topo` runs each with one
command; the documentation of each has the line for plain `mn`. With mininet's own topologies, whose hosts are then these:

    mn --custom topologies/stations.py --host station --topo tree,2 --controller remote --switch ovs,datapath=user,protocols=OpenFlow13 --test pingall
"""
import sys, time
from mininet.node import Host, OVSBridge

READY_SECONDS = 60


class Station(Host):
    """A host that computes the checksums of what it sends: the userspace datapath does not, and TCP would stall."""

    def config(self, **params):
        result = super().config(**params)
        for interface in self.intfNames():
            self.cmd(f'ethtool -K {interface} tx off')
        return result


class AccessBridge(OVSBridge):
    """A bridge that knows nothing of Weft. `vlans` gives ports (by number) to VLANs; the others carry all VLANs, tagged."""

    def __init__(self, name, vlans=None, **params):
        self.vlans = vlans or {}
        super().__init__(name, **params)

    def intfOpts(self, intf):
        vlan = self.vlans.get(self.ports[intf])
        return super().intfOpts(intf) + (f' -- set Port {intf} tag={vlan}' if vlan else '')


def station(topology, number, switch, **params):
    """Adds station h<number> with address 10.0.<number / 250>.<number % 250 + 1> and a MAC address that tells it, at a switch."""
    params.setdefault('ip', f'10.0.{number // 250}.{number % 250 + 1}/16')
    name = topology.addHost(f'h{number}', cls=Station, mac=f'02:00:00:00:{number >> 8:02x}:{number & 255:02x}', **params)
    topology.addLink(name, switch)
    return name


def vlan_of(host):
    return host.params.get('vlan', 0)


def reaches(source, target, seconds):
    return ', 0% packet loss' in source.cmd(f'ping -c 1 -W {seconds} {target.IP()}')


def fail(net, text):
    net.stop()
    sys.exit(text)


def wait_for_fabric(net):
    """Until the first station reaches the others of its VLAN: mn waits for switches to connect, not for links to be found."""
    first, *others = net.hosts
    deadline = time.time() + READY_SECONDS
    for other in others:
        while vlan_of(other) == vlan_of(first) and not reaches(first, other, 1):
            if time.time() > deadline:
                fail(net, f'{first.name} does not reach {other.name} within {READY_SECONDS} s: does the controller run?')


def pingall(net):
    """`mn --test pingall`: everybody reaches everybody in the same VLAN, and nobody in another; mn fails otherwise."""
    wait_for_fabric(net)
    if len({vlan_of(host) for host in net.hosts}) == 1:
        lost = net.pingAll()
        if lost:
            fail(net, f'pingall: {lost} % of the packets are lost')
        return
    wrong = []
    for source in net.hosts:
        print(f'{source.name} ->', end=' ')
        for target in net.hosts:
            if source == target:
                continue
            expected = vlan_of(source) == vlan_of(target)
            reached = reaches(source, target, 5 if expected else 1)
            print(target.name if reached else 'X', end=' ', flush=True)
            if reached != expected:
                wrong.append(f'{source.name} {"does not reach" if expected else "reaches"} {target.name}')
        print()
    if wrong:
        fail(net, 'pingall: ' + '; '.join(wrong))
    print('*** Results: everybody is reached in each VLAN, and nobody in another')


def iperf(net, seconds=2):
    """`mn --test iperf`: TCP between the first station and the last one of its VLAN; mn fails when nothing gets through.

    Not mininet's own: that waits for ever for a line which iperf 2.1 no longer writes for a connection without data.
    """
    wait_for_fabric(net)
    client = net.hosts[0]
    server = [host for host in net.hosts if vlan_of(host) == vlan_of(client)][-1]
    print(f'*** Iperf: TCP from {client.name} to {server.name}')
    server.cmd('iperf -s >/dev/null 2>&1 &')
    deadline = time.time() + READY_SECONDS
    said = ''
    while not said.endswith('/sec') and time.time() < deadline:
        said = client.cmd(f'iperf -t {seconds} -c {server.IP()}').strip()
    server.cmd('kill %1')
    if not said.endswith('/sec'):
        fail(net, f'iperf: {client.name} has no connection to {server.name}: {said}')
    print('*** Results:', net._parseIperf(said))


hosts = {'station': Station}
tests = {'pingAll': pingall, 'iperf': iperf}
