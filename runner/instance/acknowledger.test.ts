import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Consumer, Producer, TakenFrame } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { Acknowledger } from './acknowledger.ts'

const isUntold = (): boolean => true

/**
 * An acknowledger between a consumer that counts its acknowledgements and a producer whose outputs are safe when the test says so.
 * @param sent When gathered letters leave; default: none is gathered.
 */
function open({
  sent,
  untold,
}: {
  readonly sent?: Promise<void>
  readonly untold?: () => () => boolean
} = {}) {
  const log: string[] = []
  const drops: [TakenFrame, string, number | undefined][] = []
  const waiting: ((isSafe?: boolean) => void)[] = []
  const clock = new ManualClock(10_000)
  let done = 0
  const announced = new Set<readonly TakenFrame[]>()
  const consumer = {
    mark: (isHeld?: unknown) => (isHeld === isUntold ? `${done} without some` : done),
    isAnnounced: (batch: readonly TakenFrame[]) => announced.has(batch),
    acknowledge: (mark: unknown) => log.push(`acknowledged ${mark}`),
    announce: () => log.push('announced'),
    drop: (frame: TakenFrame, reason: string, { records }: { readonly records?: number }) => {
      log.push(reason)
      drops.push([frame, reason, records])
    },
  }
  const producer = {
    isSafe: false,
    safe: () => new Promise<boolean>((resolve) => waiting.push((isSafe = true) => resolve(isSafe))),
  }
  const acknowledger = new Acknowledger({
    ...{ consumer: consumer as unknown as Consumer, producer: producer as unknown as Producer },
    ...{
      ...{ clock, stopping: new AbortController().signal },
      letterBox: { flush: () => undefined, sent: () => sent },
      onAcknowledged: () => undefined,
      ...(untold && { untold }),
    },
  })
  return {
    ...{ acknowledger, announced, clock, drops, log, producer, waiting },
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

test('Acknowledger acknowledges what was done when it began once the outputs are accepted, then what was done meanwhile (A1)', async () => {
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

test('Acknowledger neither acknowledges nor asks again when the producer is closed before its outputs are safe (A3)', async () => {
  const { batch, log, waiting } = open()
  batch()
  waiting.shift()!(false)
  await turn()
  assert.deepEqual(log, [])
  assert.equal(waiting.length, 0, 'each answer would come at once, and nothing else would run any more')
})

test('Acknowledger leaves out what the store does not know of, also where outputs or letters are pending', async () => {
  const { acknowledger, batch, log, producer, waiting } = open({ untold: () => isUntold })
  producer.isSafe = true
  batch()
  producer.isSafe = false
  acknowledger.await(letter(Promise.resolve(true)))
  batch()
  await turn()
  waiting.shift()!()
  await turn()
  assert.deepEqual(log, ['acknowledged 1 without some', 'deadLettered', 'acknowledged 2 without some'])
})

test('Acknowledger neither counts a letter that is answered after it was given up nor goes back to what was done with it', async () => {
  const { acknowledger, batch, log, waiting } = open()
  const stored = Promise.withResolvers<boolean>()
  acknowledger.await(letter(stored.promise))
  batch()
  await turn()
  waiting.shift()!() // before it stops
  assert.equal(await acknowledger.lettersSafe(AbortSignal.abort()), false)
  acknowledger.giveUpLetters()
  stored.resolve(true)
  await turn()
  assert.deepEqual(log, [])
  const late = new AbortController().signal
  assert.equal(await acknowledger.lettersSafe(late), true, 'a stop while it leaves leaves again')
})

test('Acknowledger covers what was done while letters were gathered, when they leave', async () => {
  const left = Promise.withResolvers<void>()
  const { acknowledger, batch, log, waiting } = open({ sent: left.promise })
  acknowledger.await(letter(Promise.resolve(true)))
  batch()
  batch()
  acknowledger.await(letter(Promise.resolve(true)))
  batch()
  await turn()
  assert.equal(waiting.length, 0, 'it has not begun')
  const safe = acknowledger.lettersSafe(new AbortController().signal)
  left.resolve()
  assert.equal(await safe, true)
  waiting.shift()!()
  await turn()
  assert.deepEqual(log, ['deadLettered', 'deadLettered', 'acknowledged 3'])
})

test('lettersSafe waits for letters posted before it was called, not for later ones or for outputs', async () => {
  const { acknowledger, batch, log } = open()
  const [first, second] = [Promise.withResolvers<boolean>(), Promise.withResolvers<boolean>()]
  acknowledger.await(letter(first.promise))
  batch()
  const life = new AbortController().signal
  const safe = acknowledger.lettersSafe(life)
  acknowledger.await(letter(second.promise))
  batch()
  first.resolve(true)
  assert.equal(await safe, true)
  assert.equal(getEventListeners(life, 'abort').length, 0)
  assert.deepEqual(log, ['deadLettered'], 'counted, and not acknowledged: its outputs are on their way')
  const deadline = new AbortController()
  const late = acknowledger.lettersSafe(deadline.signal)
  deadline.abort()
  assert.equal(await late, false)
})

test('lettersSafe does not wait for outputs either whose acknowledgement began before the letters were posted (A4)', async () => {
  const { acknowledger, batch, log, waiting } = open()
  batch()
  acknowledger.await(letter(Promise.resolve(true)))
  batch()
  const safe = acknowledger.lettersSafe(new AbortController().signal)
  assert.equal(await Promise.race([safe, turn('the reader of its outputs stands still')]), true)
  assert.deepEqual(log.splice(0), ['deadLettered'])
  waiting.shift()!()
  await turn()
  waiting.shift()!()
  await turn()
  assert.deepEqual(log, ['acknowledged 1', 'acknowledged 2'])
})

test('lettersSafe does not wait for letters when outputs have used up the deadline', async () => {
  const { acknowledger } = open()
  acknowledger.await(letter(new Promise(() => undefined)))
  const safe = acknowledger.lettersSafe(AbortSignal.abort())
  assert.equal(await Promise.race([safe, turn(undefined).then(() => 'not yet')]), false)
})

const batchOf = (bytes: number) => [{ bytes: new Uint8Array(bytes) } as TakenFrame]

test('Acknowledger announces large batches when they begin, and every batch in the first second with new partitions (A2)', () => {
  const { acknowledger, batch, clock, log, producer } = open()
  producer.isSafe = true
  acknowledger.begun(batchOf(100_000))
  batch()
  assert.deepEqual(log.splice(0), ['announced', 'acknowledged 1'])
  acknowledger.beCareful()
  clock.advance(1_000) // timers were called one by one first, or nothing came
  acknowledger.begun(batchOf(100))
  assert.equal(log.splice(0).length, 1)
  clock.advance(1_000)
  acknowledger.begun(batchOf(100))
  assert.deepEqual(log, [])
})

test('Acknowledger does not announce a batch again that was announced with the outputs of the one before', () => {
  const { acknowledger, announced, log } = open()
  const batch = batchOf(100_000)
  announced.add(batch)
  acknowledger.begun(batch)
  assert.deepEqual(log, [])
})

test('Acknowledger counts the letters of a frame together, those refused apart', async () => {
  const { acknowledger, batch, drops, producer } = open()
  producer.isSafe = true
  const [one, other] = [{}, {}] as [TakenFrame, TakenFrame]
  const frames = [one, one, one, other, other]
  acknowledger.await({ frames, answers: Promise.resolve([true, true, false, false, false]) })
  batch()
  await turn()
  assert.deepEqual(drops, [
    [one, 'deadLettered', 2],
    [one, 'deadLetterRefused', 1],
    [other, 'deadLetterRefused', 2],
  ])
})
