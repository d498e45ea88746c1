"""n switches in a ring with k stations each: one loop, and a way round whenever a link fails.

    s1 -- s2 -- s3
    |            |
    s6 -- s5 -- s4

    npm run topo -- ring 6

or by hand, as root in the clone after npm run build:

    cli/weft controller --data /tmp/weft &
    mn --custom topologies/ring.py --topo ring,6 --controller remote --switch ovs,datapath=user,protocols=OpenFlow13 --test pingall
"""
import inspect, os, sys
from mininet.topo import Topo

# mn runs this file without __file__.
sys.path.insert(0, os.path.dirname(os.path.abspath(inspect.currentframe().f_code.co_filename)))
from stations import station, tests


class Ring(Topo):
    def build(self, n=4, k=1):
        n, k = int(n), int(k)
        if n < 3:
            sys.exit('ring: at least 3 switches')
        for index in range(n):
            self.addSwitch(f's{index + 1}', dpid=f'{index + 1:x}')
        for index in range(n):
            for number in range(k):
                station(self, index * k + number + 1, f's{index + 1}')
            self.addLink(f's{index + 1}', f's{(index + 1) % n + 1}')


topos = {'ring': Ring}
