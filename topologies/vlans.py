"""Two networks, red (VLAN 10) and blue (VLAN 20), with the same addresses and the same MAC addresses, on two switches.

    red1 blue1    red2 blue2       red1 10.0.0.1, red2 10.0.0.2; blue1 10.0.0.1, blue2 10.0.0.2
      \  /          \  /
       s1            s2            bridges with a controller, their uplink is port 65001
         \          /
          u1 ------                a standalone bridge that knows nothing of Weft

    cli/weft controller --data /tmp/weft & sleep 3; cli/weft apply -f examples/mininet.yaml
    mn --custom topologies/vlans.py --topo vlans --controller remote --switch ovs,datapath=user,protocols=OpenFlow13 --test pingall

Without --test: `red1 ping -c 3 10.0.0.2` reaches red2 and never blue2, as `blue2 nstat -asz IcmpInEchos` shows. See single.py for what
these lines need.
"""
import inspect, os, sys
from mininet.node import OVSBridge
from mininet.topo import Topo

# mn runs this file without __file__.
sys.path.insert(0, os.path.dirname(os.path.abspath(inspect.currentframe().f_code.co_filename)))
from agent import announce, pingall, UPLINK_PORT


class Vlans(Topo):
    def build(self):
        self.addSwitch('u1', cls=OVSBridge, datapath='user', dpid='1001', unmanaged=True)
        for number in (1, 2):
            self.addSwitch(f's{number}')
            self.addLink(f's{number}', 'u1', port1=UPLINK_PORT)
            for colour in ('red', 'blue'):
                self.addHost(f'{colour}{number}', ip=f'10.0.0.{number}/24', mac=f'02:00:00:00:00:0{number}', network=f'mininet/{colour}')
                self.addLink(f'{colour}{number}', f's{number}')
        announce(self)


topos = {'vlans': Vlans}
tests = {'pingAll': pingall}
