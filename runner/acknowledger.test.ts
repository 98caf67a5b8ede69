import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Consumer, Producer, type TakenFrame } from '../infra/bus/index.ts'
import { SimNet } from '../infra/bus/sim-net.ts'
import { ManualClock } from '../infra/clock.ts'
import { Acknowledger } from './acknowledger.ts'

/** An acknowledger between a consumer that counts its acknowledgements and a producer whose outputs are safe when the test says so. */
function open() {
  const log: string[] = []
  const waiting: (() => void)[] = []
  let done = 0
  const consumer = {
    mark: () => done,
    acknowledge: (mark = done) => log.push(`acknowledged ${mark}`),
    drop: (_: TakenFrame, reason: string) => log.push(reason),
  }
  const producer = {
    isSafe: false,
    safe: () => new Promise<void>((resolve) => waiting.push(resolve)),
  }
  const acknowledger = new Acknowledger({
    ...{ consumer: consumer as unknown as Consumer, producer: producer as unknown as Producer },
    ...{
      stopping: new AbortController().signal,
      hurryLetters: () => undefined,
      onAcknowledged: () => undefined,
    },
  })
  return {
    ...{ acknowledger, log, producer, waiting },
    batch(): void {
      done += 1
      acknowledger.acknowledge()
    },
  }
}

const letter = (stored: Promise<boolean>) => ({
  frames: [{} as TakenFrame],
  answers: stored.then((one) => [one]),
})

test('Acknowledger says what was done when it began once its outputs are accepted, and then what was done meanwhile (A1)', async () => {
  const { batch, log, producer, waiting } = open()
  batch()
  batch()
  batch()
  await turn()
  assert.deepEqual(log, [])
  assert.equal(waiting.length, 1, 'one at a time')
  waiting.shift()!()
  await turn()
  assert.deepEqual(log, ['acknowledged 1'])
  waiting.shift()!()
  await turn()
  assert.deepEqual(log, ['acknowledged 1', 'acknowledged 3'])
  producer.isSafe = true
  waiting.shift()!()
  await turn()
  batch()
  assert.equal(log.at(-1), 'acknowledged 4', 'nothing is on its way: at once')
})

test('Acknowledger waits for letters posted before it was asked, not for later ones nor for outputs', async () => {
  const { acknowledger, batch, log } = open()
  const [first, second] = [Promise.withResolvers<boolean>(), Promise.withResolvers<boolean>()]
  acknowledger.await(letter(first.promise))
  batch()
  const safe = acknowledger.lettersSafe(new AbortController().signal)
  acknowledger.await(letter(second.promise))
  batch()
  first.resolve(true)
  assert.equal(await safe, true)
  assert.deepEqual(log, ['deadLettered'], 'counted, and not acknowledged: its outputs are on their way')
  const deadline = new AbortController()
  const late = acknowledger.lettersSafe(deadline.signal)
  deadline.abort()
  assert.equal(await late, false)
})

/** A wait that is over by then will not end later. */
async function soon<T>(wait: Promise<T>): Promise<T | 'not yet'> {
  const turns = async (): Promise<'not yet'> => {
    for (let turn = 0; turn < 100; turn++) await Promise.resolve()
    return 'not yet'
  }
  return await Promise.race([wait, turns()])
}

test('lettersSafe does not wait for letters when the deadline has passed before: outputs took all of it', async () => {
  const { acknowledger } = open()
  acknowledger.await(letter(new Promise(() => undefined)))
  assert.equal(await soon(acknowledger.lettersSafe(AbortSignal.abort())), false)
})

test('an instance leaves, and its producer closes, when the deadline has passed and NATS does not answer', async () => {
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
