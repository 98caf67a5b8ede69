import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DiscardPolicy, jetstreamManager } from '@nats-io/jetstream'
import { connectBus } from '../infra/bus/index.ts'
import { decodeLetters, type Letter } from '../infra/dead-letters/index.ts'
import { startNatsServer } from '../infra/nats/index.ts'
import { LetterBox } from './letter-box.ts'

function letter(sequence: number, valueBytes = 10): Letter {
  return {
    record: { key: Uint8Array.of(1), value: new Uint8Array(valueBytes), timeMs: 5 },
    error: { name: 'Error', message: 'no', stack: '' },
    ...{ stream: 's', partition: 0, producer: '00', sequence, attempts: 1, failedAtMs: 6 },
  }
}

test('LetterBox stores letters once the stream is there, in order, and says which were refused when it is full (LB1)', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-letters-'))
  const nats = await startNatsServer({ dir, port: 0 })
  const troubles: string[] = []
  const box = new LetterBox({
    namespace: 'test',
    connect: () => connectBus({ url: nats.url, name: 'letters' }),
    onTrouble: (message) => troubles.push(message),
  })
  const nc = await connectBus({ url: nats.url, name: 'test' })
  t.after(async () => {
    await box.close()
    await nc.close()
    await nats.stop()
    await rm(dir, { recursive: true, force: true })
  })
  const post = (letters: readonly Letter[]) => box.post({ function: 'f', version: 1, letters })

  const early = post(Array.from({ length: 300 }, (_, i) => letter(i)))
  assert.ok(box.openBytes > 3000)
  const manager = await jetstreamManager(nc)
  await manager.streams.add({
    name: 'letters',
    subjects: ['concord.test.dead.*.*'],
    discard: DiscardPolicy.New,
    max_bytes: 1024 * 1024,
  })
  assert.deepEqual(await early, new Array(300).fill(true))
  assert.equal(box.openBytes, 0)
  assert.equal(troubles.length === 0 || /stored again/.test(troubles.at(-1)!), true)

  const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => post([letter(1000 + i, 200_000)])))
  const stored = answers.flat().filter(Boolean).length
  assert.ok(stored > 0 && stored < 8, `${stored} of 8 stored`)

  const { state } = await manager.streams.info('letters', { subjects_filter: '>' })
  const sequences: number[] = []
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    const message = await manager.streams.getMessage('letters', { seq })
    const { letters } = decodeLetters(message!.data)
    assert.equal(message!.subject, `concord.test.dead.f.${letters.length}`)
    sequences.push(...letters.map(({ sequence }) => sequence))
  }
  assert.deepEqual(
    sequences.filter((sequence) => sequence < 1000),
    Array.from({ length: 300 }, (_, i) => i),
  )
  assert.equal(sequences.length, 300 + stored)
})
