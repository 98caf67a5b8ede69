/**
 * Reference (a): the same function in a bare loop of Node over the same frames: no isolate, no NATS, state in a Map.
 * @module
 */
import {
  frameBytesAimed,
  headerBytesV1,
  recordBytes,
  recordHeaderBytes,
  writeRecord,
} from '../../sdk/frame.ts'
import type { Context, StreamRecord } from '../../sdk/index.ts'
import count from './load/count-function.ts'
import { makeTape } from './load/workload.ts'

const tape = makeTape(1)

/** @returns Records a second. */
export async function bareLoop(records: number): Promise<number> {
  const state = new Map<string, Uint8Array>()
  const output = { bytes: new Uint8Array(frameBytesAimed), at: headerBytesV1 }
  const view = new DataView(output.bytes.buffer)
  const record: { key: Uint8Array; value: Uint8Array } = { key: new Uint8Array(0), value: new Uint8Array(0) }
  const text = (key: Uint8Array): string =>
    Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
  const ctx = {
    getState: (key: Uint8Array) => state.get(text(key)),
    setState: (key: Uint8Array, value: Uint8Array) => void state.set(text(key), value.slice()),
    produceRecord: (_stream: string, key: Uint8Array, value: Uint8Array) => {
      if (output.at + recordBytes(key.length, value.length) > frameBytesAimed) output.at = headerBytesV1
      output.at = writeRecord(output.bytes, view, output.at, { key, value, timeMs: 0 })
    },
  } as unknown as Context
  const startMs = performance.now()
  let done = 0
  while (done < records) {
    for (const frame of tape) {
      const input = new DataView(frame.bytes.buffer, frame.bytes.byteOffset, frame.bytes.byteLength)
      let at = headerBytesV1
      for (let i = 0; i < frame.count; i++) {
        const valueSize = input.getUint32(at, true)
        const keySize = input.getUint16(at + 4, true)
        const keyAt = at + recordHeaderBytes
        record.key = frame.bytes.subarray(keyAt, keyAt + keySize)
        record.value = frame.bytes.subarray(keyAt + keySize, keyAt + keySize + valueSize)
        void count.processRecord!(ctx, record as unknown as StreamRecord)
        at += recordBytes(keySize, valueSize)
      }
      done += frame.count
      if (done >= records) break
    }
  }
  return (done / (performance.now() - startMs)) * 1000
}
