/** The driver that the agent's options ask for. */
import type { AgentSettings } from '../options.js';
import type { SwitchDriver } from './driver.js';
import { LinuxBridgeDriver } from './linux-bridge.js';
import { MacvlanDriver } from './macvlan.js';
import { OvsDriver } from './ovs.js';

export function chooseDriver(settings: AgentSettings): SwitchDriver {
  const { switch: kind, hostLabel, ovsdb, bridge, vtepIp, uplink = '', logger } = settings;
  switch (kind) {
    case 'ovs':
      return new OvsDriver({ ovsdb, bridge, logger });
    case 'linux-bridge':
      return new LinuxBridgeDriver({
        hostLabel,
        bridge,
        logger,
        ...(vtepIp === undefined ? {} : { vtepIp }),
      });
    case 'macvlan': {
      const { macvlanMode: mode, untaggedVlan = 0 } = settings;
      return new MacvlanDriver({ hostLabel, uplink, mode, untaggedVlan, logger });
    }
  }
}
