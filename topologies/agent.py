"""A Weft agent in plain Python: the hub protocol (docs/hub-protocol.md) for switches that a mininet topology has built.

announce(topology, hub) starts one agent a switch, in threads of the mn process. Each registers its switch as a host, asks for the
endpoints behind its ports, attaches them, and renews its lease until mn ends. Topologies say in addHost() which network a host is
in: network='tenant/network'. Switches of class OVSBridge are the unmanaged underlay and have no agent.
"""
import json, os, socket, subprocess, sys, threading, time

HUB = os.environ.get('WEFT_HUB', '127.0.0.1:9001')
UPLINK_PORT = 65001  # the port number of the uplink on every bridge (docs/hub-protocol.md)
ATTACHED = []  # ids of the endpoints whose switch has acknowledged them

class Peer:
    """One JSON-RPC 2.0 connection, a message a line; answers the controller's calls while it waits for its own."""
    def __init__(self, address):
        host, port = address.rsplit(':', 1)
        self.lines = socket.create_connection((host, int(port)), timeout=60).makefile('rw', encoding='utf-8', newline='\n')
        self.last = 0
    def send(self, **message):
        self.lines.write(json.dumps({'jsonrpc': '2.0', **message}) + '\n')
        self.lines.flush()
    def call(self, method, **params):
        self.last += 1
        self.send(id=self.last, method=method, params=params)
        for line in self.lines:
            message = json.loads(line)
            if 'method' in message and 'id' in message:  # agent.ping, agent.detach: a mininet host just stays
                self.send(id=message['id'], result={})
            elif message.get('id') == self.last and 'error' in message:
                raise RuntimeError(f"{method}: {message['error']['message']}")
            elif message.get('id') == self.last:
                return message['result']
        raise ConnectionError('the controller closed the connection')

def run(hub, switch, datapath_id, uplink, endpoints):
    peer, epoch = Peer(hub), int(time.time() * 1000)
    lease = peer.call('agent.register', protocol=1, hostLabel=switch, epoch=epoch, datapathId=datapath_id, bridge=switch,
                      attachments=[], **({'uplink': uplink} if uplink else {}))['leaseMs']
    for (tenant, network, name), interface, ip, mac in endpoints:
        view = peer.call('endpoint.request', tenant=tenant, network=network, endpoint=name, ip=ip.split('/')[0], mac=mac)
        peer.call('endpoint.attach', endpoint=view['endpoint'], interface=interface, deadlineMs=30000)
        ATTACHED.append(view['endpoint'])
        print(f'*** {switch}: {ATTACHED[-1]} {ip} is attached', file=sys.stderr)
    while True:
        time.sleep(lease / 3000)
        peer.call('agent.heartbeat', epoch=epoch)

def agent(topology, hub, switch):
    ports = {other: f'{switch}-eth{topology.port(switch, other)[0]}' for a, b in topology.links() if switch in (a, b)
             for other in [b if a == switch else a]}
    uplink = next((name for name in ports.values() if name.endswith(f'eth{UPLINK_PORT}')), None)
    endpoints = [((*topology.nodeInfo(host)['network'].split('/'), host), ports[host], topology.nodeInfo(host)['ip'],
                  topology.nodeInfo(host)['mac']) for host in ports if not topology.isSwitch(host)]
    asked = ['ovs-vsctl', '--timeout=60', 'wait-until', 'bridge', switch, 'datapath_id!=[]', '--', 'get', 'bridge', switch, 'datapath_id']
    try:
        run(hub, switch, subprocess.check_output(asked, text=True).strip().strip('"'), uplink, endpoints)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f'*** agent of {switch}: {error}', file=sys.stderr)

def pingall(net):
    """`mn --test pingall`: mininet's own, once the switches have acknowledged every host; mn fails when a packet is lost."""
    deadline = time.time() + 60
    while len(ATTACHED) < len(net.hosts) and time.time() < deadline:
        time.sleep(0.1)
    lost = net.pingAll()
    if lost:
        net.stop()
        sys.exit(f'pingall: {lost} % of the packets are lost')

def announce(topology, hub=HUB):
    for switch in topology.switches():
        if not topology.nodeInfo(switch).get('unmanaged'):
            threading.Thread(target=agent, args=(topology, hub, switch), daemon=True).start()
