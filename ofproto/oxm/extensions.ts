/** Fields outside the two large classes: 64-bit registers, Ericsson's, and those with an experimenter id. */
import { defineFields, narrow, OxmClass, wide } from './field.js';
import { NEIGHBOUR_DISCOVERY, NSH, TCP } from './prerequisites.js';

/** Experimenter id of the Open Networking Foundation. */
export const ONF_EXPERIMENTER = 0x4f4e4600;
/** Experimenter id of Nicira (Open vSwitch). */
export const NICIRA_EXPERIMENTER = 0x00002320;
/** Experimenter id of the NSH fields in Open vSwitch. */
export const NSH_EXPERIMENTER = 0x005ad650;

export const packetRegisterFields = defineFields(
  {
    class: OxmClass.PACKET_REGISTERS,
    prefix: 'OXM_OF_PKT_',
    source: 'OpenFlow 1.5.1, section 7.2.3.10 (EXT-244)',
  },
  {
    xreg0: wide(0, 64, 'REG0'),
    xreg1: wide(1, 64, 'REG1'),
    xreg2: wide(2, 64, 'REG2'),
    xreg3: wide(3, 64, 'REG3'),
    xreg4: wide(4, 64, 'REG4'),
    xreg5: wide(5, 64, 'REG5'),
    xreg6: wide(6, 64, 'REG6'),
    xreg7: wide(7, 64, 'REG7'),
  },
);

export const ericssonFields = defineFields(
  { class: OxmClass.ERICSSON, prefix: 'ERICOXM_OF_', source: 'ovs-fields(7), Open vSwitch 2.11' },
  {
    nd_reserved: narrow(1, 32, 'ICMPV6_ND_RESERVED', { prerequisites: NEIGHBOUR_DISCOVERY }),
    nd_options_type: narrow(2, 8, 'ICMPV6_ND_OPTIONS_TYPE', { prerequisites: NEIGHBOUR_DISCOVERY }),
  },
);

export const onfFields = defineFields(
  {
    class: OxmClass.EXPERIMENTER,
    experimenter: ONF_EXPERIMENTER,
    prefix: 'ONFOXM_ET_',
    source: 'ONF extensions for OpenFlow 1.3.x, EXT-109 and EXT-233',
  },
  {
    tcp_flags: narrow(42, 12, 'TCP_FLAGS', { maskable: true, format: 'tcp_flags', prerequisites: TCP }),
    actset_output: narrow(43, 32, 'ACTSET_OUTPUT', { format: 'port' }),
  },
);

export const niciraExperimenterFields = defineFields(
  {
    class: OxmClass.EXPERIMENTER,
    experimenter: NICIRA_EXPERIMENTER,
    prefix: 'NXOXM_ET_',
    source: 'ovs-fields(7)',
  },
  {
    tun_erspan_idx: narrow(11, 20, 'ERSPAN_IDX', { maskable: true, bytes: 4, format: 'hexadecimal' }),
    tun_erspan_ver: narrow(12, 4, 'ERSPAN_VER', { maskable: true }),
    tun_erspan_dir: narrow(13, 1, 'ERSPAN_DIR', { maskable: true }),
    tun_erspan_hwid: narrow(14, 6, 'ERSPAN_HWID', { maskable: true, format: 'hexadecimal' }),
    tun_gtpu_flags: narrow(15, 8, 'GTPU_FLAGS', { maskable: true, format: 'hexadecimal' }),
    tun_gtpu_msgtype: narrow(16, 8, 'GTPU_MSGTYPE', { maskable: true }),
  },
);

export const nshFields = defineFields(
  {
    class: OxmClass.EXPERIMENTER,
    experimenter: NSH_EXPERIMENTER,
    prefix: 'NXOXM_NSH_',
    source: 'ovs-fields(7)',
  },
  {
    nsh_flags: narrow(1, 8, 'FLAGS', { maskable: true, prerequisites: NSH }),
    nsh_mdtype: narrow(2, 8, 'MDTYPE', { prerequisites: NSH }),
    nsh_np: narrow(3, 8, 'NP', { prerequisites: NSH }),
    nsh_spi: narrow(4, 24, 'SPI', { bytes: 4, format: 'hexadecimal', prerequisites: NSH }),
    nsh_si: narrow(5, 8, 'SI', { prerequisites: NSH }),
    nsh_c1: narrow(6, 32, 'C1', { maskable: true, format: 'hexadecimal', prerequisites: NSH }),
    nsh_c2: narrow(7, 32, 'C2', { maskable: true, format: 'hexadecimal', prerequisites: NSH }),
    nsh_c3: narrow(8, 32, 'C3', { maskable: true, format: 'hexadecimal', prerequisites: NSH }),
    nsh_c4: narrow(9, 32, 'C4', { maskable: true, format: 'hexadecimal', prerequisites: NSH }),
    nsh_ttl: narrow(10, 8, 'TTL', { prerequisites: NSH }),
  },
);
