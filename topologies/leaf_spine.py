"""Leaves joined to every spine, and two VLANs, red (10) and blue (20), with a station each at every leaf.

    spine1      spine2
      |  \\    /  |             every leaf has a link to every spine
    leaf1      leaf2           fabric switches
      |          |             trunk: frames with their VLAN tag
     a1         a2             bridges that know nothing of Weft; their ports give stations to VLANs
    /  \\       /  \\
  red1 blue1 red2 blue2

    npm run topo -- leaf_spine 3 2

or by hand, as root in the clone after npm run build; the numbers are those of leaves and spines:

    cli/weft controller --data /tmp/weft &
    mn --custom topologies/leaf_spine.py --topo leaf_spine,3,2 --controller remote --switch ovs,datapath=user,protocols=OpenFlow13 --test pingall

Its pingall wants everybody to be reached within a VLAN and nobody across; `red1 ping 10.0.0.2` reaches red2, `red1 ping 10.0.1.2` nobody.
"""
import inspect, os, sys
from mininet.topo import Topo

# mn runs this file without __file__.
sys.path.insert(0, os.path.dirname(os.path.abspath(inspect.currentframe().f_code.co_filename)))
from stations import AccessBridge, Station, tests

VLANS = {'red': 10, 'blue': 20}
TRUNK = 1


class LeafSpine(Topo):
    def build(self, leaves=2, spines=2):
        for spine in range(1, int(spines) + 1):
            self.addSwitch(f'spine{spine}', dpid=f'{0x100 + spine:x}')
        for leaf in range(1, int(leaves) + 1):
            self.addSwitch(f'leaf{leaf}', dpid=f'{0x200 + leaf:x}')
            for spine in range(1, int(spines) + 1):
                self.addLink(f'leaf{leaf}', f'spine{spine}')
            ports = {TRUNK + 1 + index: vlan for index, vlan in enumerate(VLANS.values())}
            self.addSwitch(f'a{leaf}', cls=AccessBridge, datapath='user', dpid=f'{0x300 + leaf:x}', vlans=ports)
            self.addLink(f'a{leaf}', f'leaf{leaf}', port1=TRUNK)
            for index, (colour, vlan) in enumerate(VLANS.items()):
                name = self.addHost(
                    f'{colour}{leaf}', cls=Station, ip=f'10.0.{index}.{leaf}/16', mac=f'02:00:00:00:{index:02x}:{leaf:02x}', vlan=vlan)
                self.addLink(name, f'a{leaf}', port2=TRUNK + 1 + index)


topos = {'leaf_spine': LeafSpine}
