/**
 * Reference (c): `node service-main.ts URL`: the service that one writes first: Node, the NATS client, one message a record,
 * the same function called in the subscription's callback, state in a Map. No isolation, no credits, nothing is undone.
 * A message is a key of 16 bytes and a value; the last token of its subject is its partition.
 * @module
 */
import { connect } from '@nats-io/transport-node'
import type { StreamRecord } from '../../../sdk/index.ts'
import count from '../load/count-function.ts'
import { keyBytes } from '../load/workload.ts'
import { mapContext } from './contexts.ts'

process.stdin.once('end', () => process.exit(1)).resume() // whoever started us is gone
const nc = await connect({ servers: process.argv[2]! })
let subject = ''
const ctx = mapContext((key, value) => {
  const payload = new Uint8Array(key.length + value.length)
  payload.set(key)
  payload.set(value, key.length)
  nc.publish(subject, payload)
})
nc.subscribe('bench.in.*', {
  callback: (_, message) => {
    subject = `bench.out.${message.subject.slice('bench.in.'.length)}`
    const { data } = message
    const record = { key: data.subarray(0, keyBytes), value: data.subarray(keyBytes) }
    void count.processRecord!(ctx, record as unknown as StreamRecord)
  },
})
await nc.flush()
console.log(JSON.stringify({ ready: true }))
