"""Tests for `mn --custom TOPOLOGY,fabric_checks.py --test NAME`: each prints one line `checked {JSON}` for test/system/fabric-mininet.test.ts to judge."""
import json, os, re, time


def counters(net):
    """Packets that each switch has sent into each link to another switch, by the name of its interface."""
    names = [interface.name for link in net.links for interface in (link.intf1, link.intf2)
             if link.intf1.node in net.switches and link.intf2.node in net.switches]
    # Not /sys, which shows the interfaces of the namespace that it was mounted in.
    lines = [line.split(':') for line in open('/proc/net/dev').read().splitlines() if ':' in line]
    sent = {name.strip(): int(numbers.split()[9]) for name, numbers in lines}
    return {name: sent[name] for name in names}


def reach(net, source, target, seconds=60):
    """Seconds until a ping from source to target is answered, at most the given ones."""
    begun = time.time()
    while time.time() < begun + seconds:
        if ', 0% packet loss' in source.cmd(f'ping -c 1 -W 1 {target.IP()}'):
            return time.time() - begun
    return None


def stream(source, target, count, interval, meanwhile):
    """Pings at an interval of seconds, and what is done in their midst; how many are lost."""
    source.sendCmd(f'ping -q -c {count} -i {interval} -W 2 {target.IP()}')
    time.sleep(count * interval / 3)
    meanwhile()
    said = source.waitOutput()
    sent, received = re.search(r'(\d+) packets transmitted, (\d+) received', said).groups()
    return int(sent) - int(received)


def busiest(net, source, target):
    """The link between switches by which pings from source to target travel."""
    before = counters(net)
    source.cmd(f'ping -c 100 -i 0.005 -q {target.IP()}')
    sent = {name: count - before[name] for name, count in counters(net).items()}
    name = max(sent, key=sent.get)
    link = next(link for link in net.links if name in (link.intf1.name, link.intf2.name))
    return link.intf1.node.name, link.intf2.node.name


def storm(net):
    """What crosses each link from the start on, and while broadcasts are sent and a link fails and comes back."""
    first, last = net.hosts[0], net.hosts[-1]
    begun = time.time()
    waited = [reach(net, first, other) for other in net.hosts[1:]]
    start = counters(net)
    seconds = time.time() - begun
    frames = 300
    a, b = busiest(net, first, last)
    before = counters(net)
    begun = time.time()
    first.sendCmd(f'ping -b -q -c {frames} -i 0.01 10.0.255.255')
    time.sleep(frames * 0.01 / 3)
    net.configLinkStatus(a, b, 'down')
    time.sleep(frames * 0.01 / 3)
    net.configLinkStatus(a, b, 'up')
    first.waitOutput()
    sent = {name: count - before[name] for name, count in counters(net).items()}
    print('checked', json.dumps({
        'reached': None not in waited, 'startSeconds': seconds, 'start': max(start.values()), 'frames': frames,
        'seconds': time.time() - begun, 'most': max(sent.values()), 'links': len(sent) // 2}))


def failures(net):
    """Losses while a link fails and comes back, while a switch on the way does, and while the controller restarts."""
    first, last = net.hosts[0], net.hosts[len(net.hosts) // 2]
    for other in net.hosts[1:]:
        reach(net, first, other)
        reach(net, other, first)
    interval = 0.005
    a, b = busiest(net, first, last)
    fail = stream(first, last, 600, interval, lambda: net.configLinkStatus(a, b, 'down'))
    repaired = stream(first, last, 600, interval, lambda: net.configLinkStatus(a, b, 'up'))
    a, b = busiest(net, first, last)
    ends = {interface.node.name for host in (first, last) for interface in [host.intf().link.intf1, host.intf().link.intf2]}
    middle = net.get(next(switch.name for switch in net.switches if switch.name not in ends and switch.name in (a, b)))
    killed = stream(first, last, 600, interval, lambda: middle.cmd(f'ovs-vsctl del-br {middle.name}'))
    middle.start(net.controllers)
    restarted = [reach(net, first, other) for other in net.hosts[1:]]
    restart = os.environ['WEFT_RESTART']
    lost = stream(first, last, 2000, interval, lambda: open(restart, 'w').close())
    print('checked', json.dumps({
        'intervalMs': interval * 1000, 'failedLink': fail, 'repairedLink': repaired, 'killedSwitch': killed,
        'restartedSwitch': None not in restarted, 'restartedController': lost}))


tests = {'storm': storm, 'failures': failures}
