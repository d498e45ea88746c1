/** How the level driver wraps a value: protobuf with the revision of its last write. */
import protobuf from 'protobufjs';
import { StoreError } from './store.js';

/** Version of the folder's layout; grows when an older Weft could no longer read it. */
export const STORE_FORMAT = 1;

const StoredValue = protobuf
  .parse(
    `syntax = "proto3";
     message StoredValue {
       uint64 revision = 1;
       bytes value = 2;
     }`,
  )
  .root.lookupType('StoredValue');

export function encodeStoredValue(revision: number, value: Uint8Array): Uint8Array {
  return StoredValue.encode({ revision, value }).finish();
}

/** Throws StoreError `store.corrupt`, naming the key. */
export function decodeStoredValue(key: string, bytes: Uint8Array): { revision: number; value: Uint8Array } {
  try {
    const { revision, value } = StoredValue.toObject(StoredValue.decode(bytes), {
      longs: Number,
      defaults: true,
    }) as { revision: number; value: Uint8Array };
    return { revision, value };
  } catch (error) {
    throw new StoreError('store.corrupt', `the record "${key}" cannot be read: ${String(error)}`, {
      fix: 'restore the --data folder from a backup, or remove it and apply the intents again',
      cause: error,
    });
  }
}
