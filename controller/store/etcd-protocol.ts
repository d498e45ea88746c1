/**
 * The part of etcd's API (v3, https://etcd.io/docs/v3.4/learning/api/) that the driver speaks, and its codecs. Field numbers are
 * etcd's own. Leases and elections (LeaseGrant, LeaseKeepAlive, LeaseRevoke) will be further messages and paths here.
 */
import protobuf from 'protobufjs';

const PROTO = `
syntax = "proto3";

message ResponseHeader { uint64 cluster_id = 1; uint64 member_id = 2; int64 revision = 3; uint64 raft_term = 4; }
message KeyValue { bytes key = 1; int64 create_revision = 2; int64 mod_revision = 3; int64 version = 4; bytes value = 5; }

message RangeRequest { bytes key = 1; bytes range_end = 2; int64 limit = 3; int64 revision = 4; bool keys_only = 8; }
message RangeResponse { ResponseHeader header = 1; repeated KeyValue kvs = 2; bool more = 3; int64 count = 4; }
message PutRequest { bytes key = 1; bytes value = 2; }
message PutResponse { ResponseHeader header = 1; }
message DeleteRangeRequest { bytes key = 1; bytes range_end = 2; }
message DeleteRangeResponse { ResponseHeader header = 1; int64 deleted = 2; }

message Compare {
  enum Result { EQUAL = 0; GREATER = 1; LESS = 2; NOT_EQUAL = 3; }
  enum Target { VERSION = 0; CREATE = 1; MOD = 2; VALUE = 3; LEASE = 4; }
  Result result = 1;
  Target target = 2;
  bytes key = 3;
  oneof target_union { int64 version = 4; int64 create_revision = 5; int64 mod_revision = 6; bytes value = 7; }
}
message RequestOp {
  oneof request { RangeRequest request_range = 1; PutRequest request_put = 2; DeleteRangeRequest request_delete_range = 3; }
}
message ResponseOp {
  oneof response { RangeResponse response_range = 1; PutResponse response_put = 2; DeleteRangeResponse response_delete_range = 3; }
}
message TxnRequest { repeated Compare compare = 1; repeated RequestOp success = 2; repeated RequestOp failure = 3; }
message TxnResponse { ResponseHeader header = 1; bool succeeded = 2; repeated ResponseOp responses = 3; }

message CompactionRequest { int64 revision = 1; bool physical = 2; }
message CompactionResponse { ResponseHeader header = 1; }

message WatchCreateRequest { bytes key = 1; bytes range_end = 2; int64 start_revision = 3; bool progress_notify = 4; }
message WatchRequest { oneof request_union { WatchCreateRequest create_request = 1; } }
message Event {
  enum Type { PUT = 0; DELETE = 1; }
  Type type = 1;
  KeyValue kv = 2;
}
message WatchResponse {
  ResponseHeader header = 1;
  int64 watch_id = 2;
  bool created = 3;
  bool canceled = 4;
  int64 compact_revision = 5;
  string cancel_reason = 6;
  repeated Event events = 11;
}

// Not etcd's: how a transaction too large for one of etcd's is kept until it has been carried out (etcd-large.ts).
message LargeTransaction { string id = 1; uint32 chunks = 2; repeated string last = 3; }
message LargeChunk { repeated PutRequest puts = 1; repeated bytes deletes = 2; }
`;

export interface KeyValue {
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly value: Uint8Array;
}

interface Header {
  readonly header: { readonly revision: number };
}

export interface RangeRequest {
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array;
  readonly limit?: number;
  readonly revision?: number;
  readonly keysOnly?: boolean;
}
export interface RangeResponse extends Header {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
}

export interface PutRequest {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export type Compare =
  | { readonly target: 'MOD'; readonly key: Uint8Array; readonly modRevision: number }
  | { readonly target: 'CREATE'; readonly key: Uint8Array; readonly createRevision: number };

export type RequestOp =
  | { readonly requestRange: RangeRequest }
  | { readonly requestPut: PutRequest }
  | { readonly requestDeleteRange: { readonly key: Uint8Array; readonly rangeEnd?: Uint8Array } };

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}
export interface TxnResponse extends Header {
  readonly succeeded: boolean;
  readonly responses: readonly { readonly responseRange?: RangeResponse }[];
}

export interface WatchEvent {
  readonly type: 'PUT' | 'DELETE';
  readonly kv: KeyValue;
}
export interface WatchRequest {
  readonly createRequest: {
    key: Uint8Array;
    rangeEnd: Uint8Array;
    startRevision: number;
    progressNotify: boolean;
  };
}
export interface WatchResponse extends Header {
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: number;
  readonly cancelReason: string;
  readonly events: readonly WatchEvent[];
}

export interface LargeTransaction {
  readonly id: string;
  readonly chunks: number;
  /** Keys that are written last, together with the end of the transaction. */
  readonly last: readonly string[];
}
export interface LargeChunk {
  readonly puts: readonly PutRequest[];
  readonly deletes: readonly Uint8Array[];
}

export interface Codec<T> {
  encode(value: T): Buffer;
  decode(bytes: Uint8Array): T;
}

const root = protobuf.parse(PROTO).root;

function codec<T extends object>(name: string): Codec<T> {
  const type = root.lookupType(name);
  return {
    encode: (value) => Buffer.from(type.encode(type.fromObject(value)).finish()),
    decode: (bytes) =>
      type.toObject(type.decode(bytes), { longs: Number, enums: String, defaults: true, arrays: true }) as T,
  };
}

export const LARGE_TRANSACTION = codec<LargeTransaction>('LargeTransaction');
export const LARGE_CHUNK = codec<LargeChunk>('LargeChunk');

/** One remote procedure with its path and codecs. */
export interface Procedure<Request, Response> {
  readonly path: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

function procedure<Request extends object, Response extends object>(
  path: string,
  request: string,
  response: string,
): Procedure<Request, Response> {
  return { path, request: codec<Request>(request), response: codec<Response>(response) };
}

export const RANGE = procedure<RangeRequest, RangeResponse>(
  '/etcdserverpb.KV/Range',
  'RangeRequest',
  'RangeResponse',
);
export const PUT = procedure<PutRequest, Header>('/etcdserverpb.KV/Put', 'PutRequest', 'PutResponse');
export const DELETE_RANGE = procedure<{ key: Uint8Array; rangeEnd?: Uint8Array }, Header>(
  '/etcdserverpb.KV/DeleteRange',
  'DeleteRangeRequest',
  'DeleteRangeResponse',
);
export const TXN = procedure<TxnRequest, TxnResponse>('/etcdserverpb.KV/Txn', 'TxnRequest', 'TxnResponse');
export const COMPACT = procedure<{ revision: number }, Header>(
  '/etcdserverpb.KV/Compact',
  'CompactionRequest',
  'CompactionResponse',
);
export const WATCH = procedure<WatchRequest, WatchResponse>(
  '/etcdserverpb.Watch/Watch',
  'WatchRequest',
  'WatchResponse',
);
