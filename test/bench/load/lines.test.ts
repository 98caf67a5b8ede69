import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseFrame, recordsOf } from '../../../sdk/wire/frame.ts'
import { partitionOf } from '../../../sdk/wire/hash.ts'
import { firstTimeMs, tapeOfLines, writeTimes } from './lines.ts'
import { partitions } from './workload.ts'

const lines = Array.from({ length: 3_000 }, (_, i) => `client${i % 50} line ${i} ${'é'.repeat(i % 40)}`)

test('tapeOfLines puts each line into a frame of its key’s partition, in order', () => {
  const tape = tapeOfLines([...lines, 'x'.repeat(100_000)], 'firstWord')
  const found = tape.flatMap((frame) => {
    const header = parseFrame(frame.bytes)
    assert.equal(header.count, frame.count)
    return [...recordsOf(frame.bytes, header)].map(({ key, value }) => {
      assert.equal(partitionOf(key, partitions), frame.partition)
      return [Buffer.from(key).toString(), Buffer.from(value).toString()] as const
    })
  })
  assert.equal(found.length, lines.length + 1)
  for (const client of ['client0', 'client49']) {
    const ofClient = (line: string) => line.startsWith(`${client} `)
    assert.deepEqual(
      found.filter(([key]) => key === client).map(([, line]) => line),
      lines.filter(ofClient),
    )
  }
})

test('tapeOfLines without keys is one partition', () => {
  const tape = tapeOfLines(lines, 'nothing')
  assert.equal(new Set(tape.map((frame) => frame.partition)).size, 1)
})

test('writeTimes numbers the records of a frame in their event times', () => {
  const [frame] = tapeOfLines(lines, 'nothing')
  writeTimes(frame!, 70_000)
  const times = [...recordsOf(frame!.bytes, parseFrame(frame!.bytes))].map(({ timeMs }) => timeMs)
  assert.deepEqual(
    times,
    times.map((_, i) => firstTimeMs + 70_000 + i),
  )
})
