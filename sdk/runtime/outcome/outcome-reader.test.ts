import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getHeapSpaceStatistics } from 'node:v8'
import fc from 'fast-check'
import { isCode } from '../../errors.ts'
import { frameBytesAimed, parseFrame, recordsOf, stampHeader } from '../../wire/frame.ts'
import { ControlWords } from '../shared/control-words.ts'
import { control, controlBytes, entryKind, outcomeBytes, verdict } from '../shared/layout.ts'
import { MetricNames, metricNamesBytes } from '../shared/metric-names.ts'
import { entriesOf, OutcomeReader } from './outcome-reader.ts'
import { OutcomeWriter, OutputStream } from './outcome-writer.ts'

const shapes = [
  { name: 'a', partitions: 3 },
  { name: 'b', partitions: 1 },
]
const id = { low: 0, high: 0 }

function written(fill: (writer: OutcomeWriter, streams: OutputStream[]) => void): Uint8Array<ArrayBuffer> {
  const controlWords = new ControlWords(new ArrayBuffer(controlBytes))
  const log = new ArrayBuffer(outcomeBytes(1 << 20))
  new Uint8Array(log).fill(0xff) // what an earlier batch may have left
  const writer = new OutcomeWriter(
    log,
    controlWords,
    1 << 20,
    new MetricNames(new ArrayBuffer(metricNamesBytes)),
  )
  fill(
    writer,
    shapes.map(({ name, partitions }, i) => new OutputStream(name, i, partitions, i === 0)),
  )
  return new Uint8Array(log.slice(0, controlWords.word(control.published)))
}

const data = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ unit: 'grapheme', maxLength: 60 }))
const output = fc.record({ stream: fc.nat(1), key: data, value: data, timeMs: fc.maxSafeInteger() })

test('OutcomeReader returns what OutcomeWriter wrote, as frames in order per partition', () => {
  fc.assert(
    fc.property(fc.array(fc.array(output, { maxLength: 5 }), { maxLength: 20 }), (records) => {
      const log = written((writer, streams) => {
        for (const outputs of records) {
          for (const { stream, key, value, timeMs } of outputs)
            writer.output(streams[stream]!, key, value, timeMs, undefined)
          writer.done(entryKind.record, verdict.processed)
        }
        writer.output(streams[0]!, 'never', 'published', 0, 0)
      })
      const outcome = new OutcomeReader(shapes).read(log)
      assert.equal(outcome.records, records.length)
      assert.equal(outcome.recordsOut, records.flat().length)
      const inOrder = new Map<string, string[]>()
      const note = (target: string, key: Uint8Array, value: Uint8Array, timeMs: number) =>
        inOrder.set(target, [
          ...(inOrder.get(target) ?? []),
          `${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')} ${timeMs}`,
        ])
      for (const entry of entriesOf(log)) {
        if (entry.kind === 'output')
          note(
            `${shapes[entry.stream]!.name}/${entry.partition}`,
            entry.record.key,
            entry.record.value,
            entry.record.timeMs,
          )
      }
      const expected = new Map(inOrder)
      inOrder.clear()
      for (const { stream, partition, frame, count } of outcome.outputs()) {
        stampHeader(frame, { flags: 0, partition, producer: id, origin: id, epoch: 0, count, sequence: 0 })
        for (const record of recordsOf(frame, parseFrame(frame)))
          note(`${stream}/${partition}`, record.key, record.value, record.timeMs)
      }
      assert.deepEqual(inOrder, expected)
      const given = records.flat().map(({ key, value, timeMs }) => `${hex(key)} ${hex(value)} ${timeMs}`)
      assert.deepEqual([...inOrder.values()].flat().toSorted(), given.toSorted())
    }),
    { numRuns: 60 },
  )
})

function hex(data: Uint8Array | string): string {
  return Buffer.from(data as string).toString('hex')
}

test('OutcomeReader cuts frames at the intended size, in the order of the records', () => {
  const log = written((writer, streams) => {
    for (let i = 0; i < 500; i++) {
      writer.output(streams[0]!, 'k', `${i} `.padEnd(1000, 'x'), 0, 1)
      writer.done(entryKind.record, verdict.processed)
    }
  })
  const outputs = new OutcomeReader(shapes).read(log).outputs()
  assert.ok(outputs.length > 5)
  const seen: number[] = []
  for (const { frame, partition, count } of outputs) {
    assert.ok(frame.length <= frameBytesAimed)
    stampHeader(frame, { flags: 0, partition, producer: id, origin: id, epoch: 0, count, sequence: 0 })
    for (const { value } of recordsOf(frame, parseFrame(frame)))
      seen.push(Number.parseInt(Buffer.from(value).toString(), 10))
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 500 }, (_, i) => i),
  )
})

test('OutcomeReader refuses any bytes, or returns well-formed frames (LY2, R3)', () => {
  const sound = written((writer, streams) => {
    for (let i = 0; i < 20; i++) {
      writer.output(streams[i % 2]!, `key ${i}`, 'x'.repeat(i * 7), i, undefined)
      if (i % 5 === 0)
        writer.report(entryKind.record, 'skip', 1, { name: 'E', message: '', stack: undefined })
      writer.done(entryKind.record, i % 3)
    }
  })
  const reader = new OutcomeReader(shapes)
  const check = (log: Uint8Array<ArrayBuffer>): void => {
    try {
      for (const { frame, partition, count } of reader.read(log).outputs()) {
        stampHeader(frame, { flags: 0, partition, producer: id, origin: id, epoch: 0, count, sequence: 0 })
        parseFrame(frame)
      }
    } catch (error) {
      assert.ok(isCode(error, 'ERR_OUTCOME_MALFORMED'), String(error))
    }
  }
  check(sound)
  const word = fc.oneof(
    fc.integer(),
    fc.constantFrom(0, -1, 1, 2, 4, 0x7fffffff, -0x80000000, 0xffff, 1 << 20),
  )
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(sound.length / 4 - 1), word), { minLength: 1, maxLength: 4 }),
      (changes) => {
        const broken = sound.slice()
        const words = new Int32Array(broken.buffer)
        for (const [at, to] of changes) words[at] = to
        check(broken)
      },
    ),
    { numRuns: 2000 },
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 40 }), (words) =>
      check(new Uint8Array(Int32Array.from(words).buffer)),
    ),
    { numRuns: 2000 },
  )
})

test('An outcome that nobody holds dies young: reading many leaves next to nothing in the old part of the heap', () => {
  const log = written((writer, streams) => {
    for (let i = 0; i < 50; i++) {
      writer.output(streams[0]!, `k${i}`, 'value', 0, i % 3)
      writer.done(entryKind.record, verdict.processed)
    }
  })
  const memory = new Uint8Array(1 << 16)
  const reader = new OutcomeReader(shapes, (bytes) => memory.subarray(0, bytes))
  const read = (times: number): void => {
    for (let i = 0; i < times; i++) assert.ok(reader.survey(log).outputs().length > 0)
  }
  read(5_000) // compiled
  const before = oldBytes()
  read(20_000)
  assert.ok(oldBytes() - before < 4 << 20, `${oldBytes() - before} bytes have grown old`)
})

function oldBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')!.space_used_size
}
