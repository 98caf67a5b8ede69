import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { DiscardPolicy, jetstreamManager } from '@nats-io/jetstream'
import { connectBus, type NatsConnection } from '../../infra/bus/index.ts'
import { type Clock, ManualClock, systemClock } from '../../infra/clock.ts'
import { decodeLetters, type Letter, newLetter } from '../../infra/dead-letters/index.ts'
import { startNatsServer } from '../../infra/nats/index.ts'
import { LetterBox } from './letter-box.ts'

function letter(sequence: number, valueBytes = 10): Letter {
  return {
    record: { key: Uint8Array.of(1), value: new Uint8Array(valueBytes), timeMs: 5 },
    error: { name: 'Error', message: 'no', stack: '' },
    ...{ stream: 's', partition: 0, producer: '00', sequence, attempts: 1, failedAtMs: 6 },
  }
}

/** A box on a server, the letters that were posted to it, and the stream that they lie in. */
async function open(t: TestContext, clock: Clock, heard = (): Promise<void> => Promise.resolve()) {
  const dir = await mkdtemp(join(tmpdir(), 'concord-letters-'))
  const nats = await startNatsServer({ dir, port: 0 })
  const troubles: string[] = []
  const troubled = Promise.withResolvers<void>()
  const box = new LetterBox({
    ...{ namespace: 'test', clock, heard },
    connect: () => connectBus({ url: nats.url, name: 'letters' }),
    onTrouble: (message) => {
      troubles.push(message)
      troubled.resolve()
    },
  })
  const nc = await connectBus({ url: nats.url, name: 'test' })
  t.after(async () => {
    await box.close()
    await nc.close()
    await nats.stop()
    await rm(dir, { recursive: true, force: true })
  })
  const manager = await jetstreamManager(nc)
  return {
    ...{ box, troubles, troubled: troubled.promise },
    post: (letters: readonly Letter[], version = 1) =>
      box.post({ function: 'f', version, letters: letters.map(newLetter) }),
    /** Or changes what it takes. */
    async addStream(subjects = ['concord.test.dead.*.*']): Promise<void> {
      const config = { subjects, discard: DiscardPolicy.New, max_bytes: 1024 * 1024 }
      const there = await manager.streams.info('letters').catch(() => undefined)
      if (there === undefined) await manager.streams.add({ name: 'letters', ...config })
      else await manager.streams.update('letters', config)
    },
    /** The letters of each message. */
    async messages(): Promise<(readonly Letter[])[]> {
      const { state } = await manager.streams.info('letters', { subjects_filter: '>' })
      const all: (readonly Letter[])[] = []
      for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
        const message = await manager.streams.getMessage('letters', { seq })
        const { letters } = decodeLetters(message!.data)
        assert.equal(message!.subject, `concord.test.dead.f.${letters.length}`)
        all.push(letters)
      }
      return all
    },
  }
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

test('LetterBox stores letters in order once the stream exists, and reports those refused because it is full (LB1)', async (t) => {
  const { box, troubles, post, addStream, messages } = await open(t, systemClock)
  const early = post(numbers(300).map((i) => letter(i)))
  assert.ok(box.openBytes > 3000)
  await addStream()
  assert.deepEqual(await early, new Array(300).fill(true))
  assert.equal(box.openBytes, 0)
  assert.equal(troubles.length === 0 || /stored again/.test(troubles.at(-1)!), true)

  const answers = await Promise.all(numbers(8).map((i) => post([letter(1000 + i, 200_000)])))
  const stored = answers.flat().filter(Boolean).length
  assert.ok(stored > 0 && stored < 8, `${stored} of 8 stored`)
  const sequences = (await messages()).flat().map(({ sequence }) => sequence)
  assert.deepEqual(
    sequences.filter((sequence) => sequence < 1000),
    numbers(300),
  )
  assert.equal(sequences.length, 300 + stored)
})

test('LetterBox sends no letter ahead of letters that JetStream has not accepted yet (LB4)', async (t) => {
  const { post, troubled, addStream, messages } = await open(t, systemClock)
  await addStream(['concord.test.dead.*.1']) // of one letter, not of two
  const two = post([letter(0), letter(1)])
  await troubled
  const one = post([letter(2)], 2)
  await addStream()
  assert.deepEqual(await Promise.all([two, one]), [[true, true], [true]])
  const sequences = (await messages()).map((letters) => letters.map(({ sequence }) => sequence))
  assert.deepEqual(sequences, [[0, 1], [2]])
})

test('LetterBox stores a letter only after the server has heard that its record was touched (LB5), and tells when all are answered', async (t) => {
  const heard = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let asked = 0
  const { box, post, addStream, messages } = await open(
    t,
    new ManualClock(1_000),
    () => heard[asked++]!.promise,
  )
  await addStream()
  const posted = post([letter(0)])
  const answered = box.answered(AbortSignal.timeout(60_000))
  await assert.rejects(box.answered(AbortSignal.abort(new Error('late'))), /late/)
  const other = post([letter(1)])
  box.flush()
  assert.equal(asked, 1, 'the second goes behind the first')
  assert.deepEqual(await messages(), [])
  heard[0]!.resolve()
  assert.deepEqual(await posted, [true])
  await answered
  heard[1]!.resolve()
  assert.deepEqual(await other, [true])
})

test('LetterBox gathers letters while JetStream is slow, however often they fall due (LB4)', async (t) => {
  const clock = new ManualClock(1_000)
  const { post, troubled, addStream, messages } = await open(t, clock)
  const first = post([letter(0)])
  await troubled
  const late = numbers(20).map((i) => {
    const posted = post([letter(1 + i)])
    clock.advance(10)
    return posted
  })
  await addStream()
  assert.deepEqual(await Promise.all([first, ...late]), new Array(21).fill([true]))
  const sequences = (await messages()).map((letters) => letters.map(({ sequence }) => sequence))
  assert.deepEqual(sequences, [[0], numbers(20).map((i) => 1 + i)])
})

test('LetterBox gathers letters that follow others closely until they are due, needed or many (LB3)', async (t) => {
  const clock = new ManualClock(1_000)
  const { box, post, addStream, messages } = await open(t, clock)
  await addStream()
  assert.deepEqual(await post([letter(0)]), [true], 'the first goes at once')

  const soon = [post([letter(1)]), post([letter(2), letter(3)]), post([letter(4)], 2)]
  assert.ok(box.openBytes > 4 * 50)
  clock.advance(10)
  assert.deepEqual(await Promise.all(soon), [[true], [true, true], [true]])

  const needed = post([letter(5)])
  box.flush()
  assert.deepEqual(await needed, [true])
  const many = numbers(256).map((i) => post([letter(6 + i)]))
  assert.deepEqual(await Promise.all(many), new Array(256).fill([true]))
  assert.equal(box.openBytes, 0)
  const all = await messages()
  const sequences = all.map((letters) => letters.map(({ sequence }) => sequence))
  assert.deepEqual(sequences.slice(0, 4), [[0], [1, 2, 3], [4], [5]])
  assert.equal(all.length, 5)

  const late = post([letter(300)])
  await box.close()
  assert.deepEqual(await late, [false], 'nobody is left waiting')
})

type Answer = 503 | 10023 | 10047 | 10077 | 'stored' | 'lost'

/** A server that gives these answers, in turn: no JetStream, a code of it, stored, or none, since the connection ends. */
function answering(answers: Answer[]): NatsConnection {
  let answered: (error: null, message: unknown) => void
  const ended = Promise.withResolvers<void>()
  const nc = {
    subscribe: (_: string, { callback }: { callback: typeof answered }) => {
      answered = callback
    },
    publish(_: string, __: Uint8Array, { reply }: { reply: string }) {
      const answer = answers.shift()
      if (answer === 'lost') return ended.resolve()
      const error = { err_code: answer, description: 'refused' }
      const json = () => (answer === 'stored' ? { seq: 1, duplicate: true } : { error })
      const headers = answer === 503 ? { code: 503 } : undefined
      setImmediate(() => answered(null, { subject: reply, headers, json }))
    },
    closed: () => ended.promise,
    close: () => Promise.resolve(),
  }
  return nc as unknown as NatsConnection
}

test('LetterBox believes only the stream that a letter is refused which may be stored already (LB1)', async (t) => {
  const said = async (answers: Answer[]): Promise<readonly boolean[]> => {
    const box = new LetterBox({
      ...{ namespace: 'test', clock: systemClock, heard: () => Promise.resolve() },
      ...{ connect: () => Promise.resolve(answering(answers)), onTrouble: () => undefined },
    })
    t.after(() => box.close())
    const stored = await box.post({ function: 'f', version: 1, letters: [newLetter(letter(1))] })
    assert.deepEqual(answers, [])
    return stored
  }
  assert.deepEqual(await said([10023]), [false])
  assert.deepEqual(await said(['lost', 10023, 10047, 'stored']), [true])
  assert.deepEqual(await said(['lost', 10077]), [false])
  assert.deepEqual(await said([503, 10023]), [false], 'where there was no JetStream, nothing was stored')
})
