/**
 * The records of a frame for code that trusts it: no checks, two views a record.
 * @module
 */

import type { Context, FunctionDefinition, StreamRecord } from '../../../sdk/index.ts'
import { headerBytesV1, recordBytes, recordHeaderBytes } from '../../../sdk/wire/frame.ts'

/** Calls `processRecord` for each record of a frame. */
export function walkFrame(
  bytes: Uint8Array,
  count: number,
  processRecord: NonNullable<FunctionDefinition['processRecord']>,
  ctx: Context,
  afterRecord: () => void,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const record: { key: Uint8Array; value: Uint8Array } = { key: bytes, value: bytes }
  let at = headerBytesV1
  for (let i = 0; i < count; i++) {
    const valueBytes = view.getUint32(at, true)
    const keyBytes = view.getUint16(at + 4, true)
    const keyAt = at + recordHeaderBytes
    record.key = bytes.subarray(keyAt, keyAt + keyBytes)
    record.value = bytes.subarray(keyAt + keyBytes, keyAt + keyBytes + valueBytes)
    void processRecord(ctx, record as unknown as StreamRecord)
    afterRecord()
    at += recordBytes(keyBytes, valueBytes)
  }
}
