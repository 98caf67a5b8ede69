import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../clock.ts'
import { Consumer } from './receiving/consumer.ts'
import { Producer } from './sending/producer.ts'
import { SimNet } from './wire/sim-net.ts'

/** A wait that is over by then will not end later. */
async function soon<T>(wait: Promise<T>): Promise<T | 'not yet'> {
  const turns = async (): Promise<'not yet'> => {
    for (let turn = 0; turn < 100; turn++) await Promise.resolve()
    return 'not yet'
  }
  return await Promise.race([wait, turns()])
}

test('an instance leaves and its producer closes at the deadline though NATS does not answer', async () => {
  const wire = new SimNet().connect()
  const options = { wire, namespace: 'n', epoch: 1, clock: new ManualClock() }
  const consumer = new Consumer({ ...options, name: 'f', onFrames: () => undefined })
  const producer = new Producer({ ...options, origin: '0123456789abcdef' })
  wire.break()
  const left = consumer.leave(AbortSignal.abort()).then(
    () => 'heard',
    () => 'without a word',
  )
  assert.equal(await soon(left), 'without a word')
  assert.equal(await soon(producer.close(AbortSignal.abort())), undefined)
})
