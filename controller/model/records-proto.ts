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
message NetworkSpec {
  optional string encapsulation = 1;
  optional uint32 tag = 2;
  optional string subnet = 3;
  optional string gateway = 4;
  optional string ipv6_subnet = 5;
  optional string ipv6_gateway = 6;
  optional bool dynamic_endpoints = 7;
  optional bool uplink_hand_off = 8;
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

message EndpointSpec {
  optional string ip = 1;
  optional string ip6 = 2;
  optional string mac = 3;
  optional string host = 4;
  optional string attach_uuid = 5;
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
`;
