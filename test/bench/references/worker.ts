/**
 * Reference (d): the same function as a worker of workerd: a request's body is a record (a key of 16 bytes and a value), or at
 * `/frame` a whole frame; so is the response's. State in a Map, which workerd does not keep: it has no state of this kind.
 * @module
 */

import type { Context, StreamRecord } from '../../../sdk/index.ts'
import { headerBytesV1, recordBytes, recordHeaderBytes } from '../../../sdk/wire/frame.ts'
import count from '../load/count-function.ts'

const keyBytes = 16
const state = new Map<string, Uint8Array>()
let output = new Uint8Array(0)
let outputAt = 0

const ctx = {
  getState: (key: Uint8Array) => state.get(text(key)),
  setState: (key: Uint8Array, value: Uint8Array) => void state.set(text(key), value.slice()),
  produceRecord: (_stream: string, key: Uint8Array, value: Uint8Array) => {
    output.set(key, outputAt)
    output.set(value, outputAt + key.length)
  },
} as unknown as Context

function text(key: Uint8Array): string {
  return String.fromCharCode.apply(null, key as unknown as number[])
}

function call(key: Uint8Array, value: Uint8Array): void {
  void count.processRecord!(ctx, { key, value } as unknown as StreamRecord)
}

function countFrame(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  output = frame.slice() // of the same shape: keys and sizes stay
  const view = new DataView(frame.buffer)
  const records = view.getUint32(28, true)
  let at = headerBytesV1
  for (let i = 0; i < records; i++) {
    const valueBytes = view.getUint32(at, true)
    const keyAt = at + recordHeaderBytes
    const valueAt = keyAt + view.getUint16(at + 4, true)
    outputAt = keyAt
    call(frame.subarray(keyAt, valueAt), frame.subarray(valueAt, valueAt + valueBytes))
    at += recordBytes(valueAt - keyAt, valueBytes)
  }
  return output
}

function countRecord(body: Uint8Array): Uint8Array<ArrayBuffer> {
  output = new Uint8Array(body.length)
  outputAt = 0
  call(body.subarray(0, keyBytes), body.subarray(keyBytes))
  return output
}

export default {
  async fetch(request: Request): Promise<Response> {
    const body = new Uint8Array(await request.arrayBuffer())
    return new Response(request.url.endsWith('/frame') ? countFrame(body) : countRecord(body))
  },
}
