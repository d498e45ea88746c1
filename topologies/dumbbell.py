"""Two switches with k stations each and one link between them, which all share: what fails has no other way.

    h1 --\              /-- h4
    h2 --- s1 ------ s2 --- h5
    h3 --/              \-- h6

    npm run topo -- dumbbell 3

or by hand, as root in the clone after npm run build:

    cli/weft controller --data /tmp/weft &
    mn --custom topologies/dumbbell.py --topo dumbbell,3 --controller remote --switch ovs,datapath=user,protocols=OpenFlow13 --test pingall
"""
import inspect, os, sys
from mininet.topo import Topo

# mn runs this file without __file__.
sys.path.insert(0, os.path.dirname(os.path.abspath(inspect.currentframe().f_code.co_filename)))
from stations import station, tests


class Dumbbell(Topo):
    def build(self, k=3):
        for side in (0, 1):
            self.addSwitch(f's{side + 1}', dpid=f'{side + 1:x}')
            for number in range(int(k)):
                station(self, side * int(k) + number + 1, f's{side + 1}')
        self.addLink('s1', 's2')


topos = {'dumbbell': Dumbbell}
