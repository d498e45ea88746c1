"""k switches of Weft with one host each, joined by a line of k unmanaged switches; the network travels as VLAN 100.

    h1    h2    h3
    |     |     |
    s1    s2    s3      bridges with a controller, their uplink is port 65001
    |     |     |
    u1 -- u2 -- u3      standalone bridges that know nothing of Weft

    cli/weft controller --data /tmp/weft & sleep 3; cli/weft apply -f examples/mininet.yaml
    mn --custom topologies/linear.py --topo linear,3 --controller remote --switch ovs,datapath=user,protocols=OpenFlow13 --test pingall

See single.py for what these lines need.
"""
import inspect, os, sys
from mininet.node import OVSBridge
from mininet.topo import Topo

# mn runs this file without __file__.
sys.path.insert(0, os.path.dirname(os.path.abspath(inspect.currentframe().f_code.co_filename)))
from agent import announce, pingall, UPLINK_PORT


class Linear(Topo):
    def build(self, k=2):
        for number in range(1, int(k) + 1):
            self.addSwitch(f's{number}')
            self.addSwitch(f'u{number}', cls=OVSBridge, datapath='user', dpid=f'{1000 + number:x}', unmanaged=True)
            self.addHost(f'h{number}', ip=f'10.0.0.{number}/24', mac=f'02:00:00:00:00:{number:02x}', network='mininet/lan')
            self.addLink(f'h{number}', f's{number}')
            self.addLink(f's{number}', f'u{number}', port1=UPLINK_PORT)
            if number > 1:
                self.addLink(f'u{number - 1}', f'u{number}')
        announce(self)


topos = {'linear': Linear}
tests = {'pingAll': pingall}
