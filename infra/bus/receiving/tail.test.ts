import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frameOf, parseId64, stampHeader } from '../../../sdk/wire/frame.ts'
import { encodeBeacon } from '../messages/beacon.ts'
import type { Wire } from '../wire/wire.ts'
import { startTail } from './tail.ts'

const [a, b] = ['a', 'b'].map((digit) => digit.repeat(16)) as [string, string]
const [slot, other] = ['1', '2'].map((digit) => digit.repeat(16)) as [string, string]

/** A tail that hears what `hear` is given; what it showed and missed is in `log`. */
function heardTail() {
  const log: string[] = []
  let hear: (bytes: Uint8Array) => void = () => assert.fail('nothing is subscribed')
  const wire = {
    subscribe: (_subject: string, receive: typeof hear) => {
      hear = receive
      return () => undefined
    },
  } as Partial<Wire> as Wire
  startTail({
    ...{ wire, namespace: 'n', stream: 's' },
    onFrame: (_bytes, { producer, sequence, count }) =>
      log.push(`${producer[0]} ${sequence} to ${sequence + count - 1}`),
    onGap: (_partition, producer, records) => log.push(`${producer[0]} missed ${records}`),
  })
  return { log, hear: (bytes: Uint8Array) => hear(bytes) }
}

function stamp(producer: string, origin: string, epoch: number, sequence: number) {
  return { producer: parseId64(producer), origin: parseId64(origin), epoch, partition: 3, sequence }
}

function frame(stamped: ReturnType<typeof stamp>, count: number): Uint8Array {
  const record = { key: Buffer.from('k'), value: Buffer.from('v'), timeMs: 1 }
  const bytes = frameOf(Array.from({ length: count }, () => record))
  stampHeader(bytes, { ...stamped, flags: 0, count })
  return bytes
}

function beacon(stamped: ReturnType<typeof stamp>, consumers = ['f']): Uint8Array {
  const entries = consumers.map((consumer) => ({ consumer, epoch: 1, position: 0, from: 0, attempts: 0 }))
  return encodeBeacon(stamped, { oldest: 0, entries })
}

test('startTail shows each record once, and counts those that it misses between two (TL1)', () => {
  const { log, hear } = heardTail()
  hear(frame(stamp(a, slot, 1, 40), 10))
  hear(frame(stamp(a, slot, 1, 40), 10)) // sent again
  hear(frame(stamp(b, other, 1, 0), 1))
  hear(frame(stamp(a, slot, 1, 52), 3))
  hear(beacon(stamp(a, slot, 1, 60)))
  hear(Buffer.from('no frame'))
  hear(frame(stamp(a, slot, 1, 60), 1))
  assert.deepEqual(log, ['a 40 to 49', 'b 0 to 0', 'a missed 2', 'a 52 to 54', 'a missed 5', 'a 60 to 60'])
})

test('startTail takes what raises a fence for no position: whoever raised it is not said to have missed records', () => {
  const { log, hear } = heardTail()
  hear(beacon(stamp(a, other, 7, 0), [])) // the slot of another, whose holder is gone
  hear(beacon(stamp(a, slot, 1, 0), [])) // its own, again after a reconnect
  hear(frame(stamp(a, slot, 1, 500), 1))
  assert.deepEqual(log, ['a 500 to 500'])
})

test('startTail shows no frame of a holder whose slot has another one (TL2)', () => {
  const { log, hear } = heardTail()
  hear(frame(stamp(a, slot, 1, 5), 1))
  hear(beacon(stamp(b, slot, 2, 0), []))
  hear(frame(stamp(a, slot, 1, 6), 1))
  hear(frame(stamp(b, slot, 2, 0), 1))
  assert.deepEqual(log, ['a 5 to 5', 'b 0 to 0'])
})
