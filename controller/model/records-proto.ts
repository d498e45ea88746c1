/**
 * Layout of the stored records. Fields are only ever added; a change that an older Weft would misread raises
 * `SCHEMA_VERSION` in records.ts, and `upgrade` there reads the old form.
 */
export const RECORDS_PROTO = `
syntax = "proto2";
package weft.model;

message Meta {
  optional uint32 schema_version = 1;
  // Last generation given to an attachment, in the whole cluster.
  optional uint64 generation = 2;
}

message TenantSpec {
  optional string default_encapsulation = 1;
  optional string subnet_pool = 2;
  optional uint32 allocation_length = 3;
  optional string ipv6_subnet_pool = 4;
  optional uint32 ipv6_allocation_length = 5;
  optional string vlans = 6;
  optional string vnis = 7;
  optional bool overlapping_subnets = 8;
  optional string default_action = 9;
  optional string owner = 10;
}
message Tenant {
  optional uint32 schema_version = 1;
  optional string name = 2;
  optional uint32 number = 3;
  optional TenantSpec spec = 4;
}

message Subnet4 {
  optional fixed32 address = 1;
  optional uint32 length = 2;
  optional fixed32 gateway = 3;
}
message Subnet6 {
  optional bytes address = 1;
  optional uint32 length = 2;
  optional bytes gateway = 3;
}
message MulticastSettings {
  optional bool snooping = 1;
  optional bool querier = 2;
  optional string unregistered = 3;
  optional uint32 degree = 4;
  optional uint32 head_end_limit = 5;
  optional uint32 broadcast_limit = 6;
}
message NetworkSpec {
  optional string encapsulation = 1;
  optional uint32 tag = 2;
  optional string subnet = 3;
  optional string gateway = 4;
  optional string ipv6_subnet = 5;
  optional string ipv6_gateway = 6;
  optional bool dynamic_endpoints = 7;
  optional bool uplink_hand_off = 8;
  optional string qos = 9;
  optional MulticastSettings multicast = 10;
  optional string owner = 11;
}
message Network {
  optional uint32 schema_version = 1;
  optional string tenant = 2;
  optional string name = 3;
  optional uint32 number = 4;
  optional NetworkSpec spec = 5;
  optional string encapsulation = 6;
  optional uint32 tag = 7;
  optional Subnet4 ipv4 = 8;
  optional Subnet6 ipv6 = 9;
}

// What selects an endpoint for policies and profiles. Ports are "8080" or "53/udp".
message AnnouncedRate {
  optional uint32 kilobits_per_second = 1;
  optional uint32 burst_kilobits = 2;
}
message AnnouncedRates {
  optional AnnouncedRate in = 1;
  optional AnnouncedRate out = 2;
}
message Traits {
  map<string, string> labels = 1;
  repeated string groups = 2;
  map<string, string> ports = 3;
  optional string qos = 4;
  optional AnnouncedRates rates = 5;
}
message EndpointSpec {
  optional string ip = 1;
  optional string ip6 = 2;
  optional string mac = 3;
  optional string host = 4;
  optional string attach_uuid = 5;
  optional Traits traits = 6;
  optional string owner = 7;
}
message Endpoint {
  optional uint32 schema_version = 1;
  optional string tenant = 2;
  optional string network = 3;
  optional string name = 4;
  optional uint32 number = 5;
  optional EndpointSpec spec = 6;
  // Asked for by an agent, not declared by an intent.
  optional bool dynamic = 7;
  optional uint64 mac = 8;
  optional fixed32 ipv4 = 9;
  optional bytes ipv6 = 10;
  optional string attach_uuid = 11;
  // Where it is attached, and the generation of its last attachment.
  optional string host = 12;
  optional string interface = 13;
  optional uint64 generation = 14;
  // As its agent says.
  optional Traits announced = 15;
}

message HostSpec {
  optional string vtep_ip = 1;
  optional string vtep_ip6 = 2;
  optional string uplink = 3;
}
message HostClaim {
  optional string datapath_id = 1;
  optional fixed32 vtep_ipv4 = 2;
  optional bytes vtep_ipv6 = 3;
  optional string uplink = 4;
  optional string tunnel_port = 5;
  // Instead of a datapath: "linux-bridge" or "macvlan".
  optional string soft_switch = 6;
}
message Host {
  optional uint32 schema_version = 1;
  optional string name = 2;
  optional uint32 number = 3;
  optional HostSpec spec = 4;
  optional HostClaim claim = 5;
}

message Binding {
  optional uint32 schema_version = 1;
  optional string tenant = 2;
  optional string network = 3;
  optional string name = 4;
  optional string host = 5;
  optional string attach_uuid = 6;
}

// An attachment that an agent announced before the endpoint was known.
message Pending {
  optional uint32 schema_version = 1;
  optional string endpoint = 2;
  optional string host = 3;
  optional string interface = 4;
  optional uint64 generation = 5;
}

// A network that a container runtime uses on a host. A Weft that does not know of it deletes the network a little early at worst.
message NetworkUse {
  optional uint32 schema_version = 1;
  optional string network = 2;
  optional string host = 3;
  optional string user = 4;
}
// An address kept for a container that is about to start; read by nobody but its host, so an older Weft may give it to another.
message Reservation {
  optional uint32 schema_version = 1;
  optional string network = 2;
  optional string host = 3;
  optional string address = 4;
}

message Expression {
  optional string key = 1;
  optional string operator = 2;
  repeated string values = 3;
}
message Selector {
  map<string, string> match_labels = 1;
  repeated Expression match_expressions = 2;
}
message Group {
  optional uint32 schema_version = 1;
  optional string tenant = 2;
  optional string name = 3;
  optional uint32 number = 4;
  // <network>/<endpoint>
  repeated string endpoints = 5;
  repeated string networks = 6;
  optional Selector selector = 7;
  repeated string policies = 8;
  optional string qos = 9;
  optional string owner = 10;
  optional string network = 11;
}

message AddressSet {
  optional uint32 schema_version = 1;
  optional string tenant = 2;
  optional string name = 3;
  optional uint32 number = 4;
  repeated string addresses = 5;
  repeated string except = 6;
}

message Tier {
  optional uint32 schema_version = 1;
  optional string name = 2;
  optional uint32 priority = 3;
}

message Policy {
  optional uint32 schema_version = 1;
  optional string tenant = 2;
  optional string name = 3;
  optional uint32 number = 4;
  optional string tier = 5;
  optional string default_in = 6;
  optional string default_out = 7;
  optional string owner = 8;
}

message Peer {
  optional string group = 1;
  optional string network = 2;
  optional string address_set = 3;
  optional string cidr = 4;
  repeated string except = 5;
}
message Rule {
  optional uint32 schema_version = 1;
  optional string tenant = 2;
  optional string policy = 3;
  optional string name = 4;
  optional uint32 number = 5;
  optional uint32 position = 6;
  optional string direction = 7;
  optional uint32 priority = 8;
  repeated Peer from = 9;
  repeated Peer to = 10;
  // A name or a number.
  optional string protocol = 11;
  // Numbers, ranges and names.
  repeated string ports = 12;
  optional uint32 icmp_type = 13;
  optional uint32 icmp_code = 14;
  optional string action = 15;
  optional bool log = 16;
  optional bool stateless = 17;
  // Address sets and blocks only.
  repeated Peer group_addresses = 18;
}

message Rate {
  optional string rate = 1;
  optional string burst = 2;
}
message QosProfile {
  optional uint32 schema_version = 1;
  optional string tenant = 2;
  optional string name = 3;
  optional uint32 number = 4;
  optional Rate out = 5;
  optional Rate in = 6;
  optional string sharing = 7;
  // A number or a name.
  optional string dscp = 8;
  optional bool trust = 9;
  optional uint32 queue = 10;
  optional string guaranteed = 11;
}
`;
