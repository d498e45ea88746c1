"""A fat-tree of switches with k ports each: (k/2)^2 shortest paths between any two pods.

(k/2)^2 cores, k pods of k/2 aggregation and k/2 edge switches (Al-Fares, Loukissas, Vahdat, SIGCOMM 2008), and up to k/2 stations at each edge
switch.

    core             c1    c2    c3    c4
                     each joined to one aggregation switch of each pod
    aggregation      p1a1  p1a2   p2a1  p2a2   p3a1  p3a2   p4a1  p4a2
                      |  X  |      |  X  |      |  X  |      |  X  |
    edge             p1e1  p1e2   p2e1  p2e2   p3e1  p3e2   p4e1  p4e2

    npm run topo -- fat_tree 4

or by hand, as root in the clone after npm run build; the second number is that of stations at each edge switch:

    cli/weft controller --data /tmp/weft &
    mn --custom topologies/fat_tree.py --topo fat_tree,4,1 --controller remote --switch ovs,datapath=user,protocols=OpenFlow13 --test pingall
"""
import inspect, os, sys
from mininet.topo import Topo

# mn runs this file without __file__.
sys.path.insert(0, os.path.dirname(os.path.abspath(inspect.currentframe().f_code.co_filename)))
from stations import station, tests

CORE, AGGREGATION, EDGE = 1, 2, 3


class FatTree(Topo):
    def build(self, k=4, stations=1):
        k, stations = int(k), int(stations)
        half = k // 2
        if k < 2 or k % 2 or stations > half:
            sys.exit('fat_tree: k is even, and an edge switch has at most k/2 stations')
        for core in range(half * half):
            self.addSwitch(f'c{core + 1}', dpid=f'{CORE << 16 | core + 1:x}')
        number = 0
        for pod in range(k):
            aggregation = [f'p{pod + 1}a{index + 1}' for index in range(half)]
            for index, name in enumerate(aggregation):
                self.addSwitch(name, dpid=f'{AGGREGATION << 16 | pod + 1 << 8 | index + 1:x}')
                for core in range(half):
                    self.addLink(name, f'c{index * half + core + 1}')
            for index in range(half):
                edge = self.addSwitch(f'p{pod + 1}e{index + 1}', dpid=f'{EDGE << 16 | pod + 1 << 8 | index + 1:x}')
                for name in aggregation:
                    self.addLink(edge, name)
                for _ in range(stations):
                    number += 1
                    station(self, number, edge)


topos = {'fat_tree': FatTree}
