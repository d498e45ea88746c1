"""One switch and k hosts in one network.

The controller, with the networks of the example, and then mininet, as root in the clone after npm run build:

    cli/weft controller --data /tmp/weft & sleep 3; cli/weft apply -f examples/mininet.yaml
    mn --custom topologies/single.py --topo single,3 --controller remote --switch ovs,datapath=user,protocols=OpenFlow13 --test pingall

Without --test there is mininet's command line; its pingall works once all hosts are told to be attached. Needs Debian's mininet and
openvswitch-switch. WEFT_HUB has the hub's address when it is not 127.0.0.1:9001. The userspace datapath does not compute checksums that a
host left to its network card: for TCP and UDP run `h1 ethtool -K h1-eth0 tx off` on every host first.
"""
import inspect, os, sys
from mininet.topo import Topo

# mn runs this file without __file__.
sys.path.insert(0, os.path.dirname(os.path.abspath(inspect.currentframe().f_code.co_filename)))
from agent import announce, pingall


class Single(Topo):
    def build(self, k=2):
        self.addSwitch('s1')
        for number in range(1, int(k) + 1):
            self.addHost(f'h{number}', ip=f'10.0.0.{number}/24', mac=f'02:00:00:00:00:{number:02x}', network='mininet/lan')
            self.addLink(f'h{number}', 's1')
        announce(self)


topos = {'single': Single}
tests = {'pingAll': pingall}
