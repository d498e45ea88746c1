"""A grid of switches whose edges meet, rows x columns, with k stations at each switch: many loops, many ways of equal length.

       |     |     |
    - 1x1 - 1x2 - 1x3 -
       |     |     |
    - 2x1 - 2x2 - 2x3 -         every line that leaves on one side comes in on the other
       |     |     |
    - 3x1 - 3x2 - 3x3 -
       |     |     |

    npm run topo -- torus 3 3

or by hand, as root in the clone after npm run build:

    cli/weft controller --data /tmp/weft &
    mn --custom topologies/torus.py --topo torus,3,3 --controller remote --switch ovs,datapath=user,protocols=OpenFlow13 --test pingall
"""
import inspect, os, sys
from mininet.topo import Topo

# mn runs this file without __file__.
sys.path.insert(0, os.path.dirname(os.path.abspath(inspect.currentframe().f_code.co_filename)))
from stations import station, tests


class Torus(Topo):
    def build(self, rows=3, columns=3, k=1):
        rows, columns, k = int(rows), int(columns), int(k)
        if rows < 3 or columns < 3:
            sys.exit('torus: at least 3 rows and 3 columns, or two switches would have two links to each other')
        name = lambda row, column: f's{row % rows + 1}x{column % columns + 1}'
        places = [(row, column) for row in range(rows) for column in range(columns)]
        for row, column in places:
            self.addSwitch(name(row, column), dpid=f'{(row + 1) * 256 + column + 1:x}')
        for index, (row, column) in enumerate(places):
            for number in range(k):
                station(self, index * k + number + 1, name(row, column))
            self.addLink(name(row, column), name(row, column + 1))
            self.addLink(name(row, column), name(row + 1, column))


topos = {'torus': Torus}
