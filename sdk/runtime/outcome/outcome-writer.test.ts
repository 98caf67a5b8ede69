import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ControlWords } from '../shared/control-words.ts'
import { control, controlBytes, entryKind, outcomeBytes, verdict } from '../shared/layout.ts'
import { MetricNames, metricNamesBytes } from '../shared/metric-names.ts'
import { entriesOf } from './outcome-reader.ts'
import { OutcomeWriter, OutputStream } from './outcome-writer.ts'

const noMetrics = new MetricNames(new ArrayBuffer(metricNamesBytes))

/** Bytes that lie about themselves, as an author's code can make them. */
function liars(bytes: readonly number[]): Uint8Array[] {
  const lies = [Number.NaN, -4, -1e9, 0, 1, 2 ** 31, 2 ** 53, 0.5, { valueOf: () => -8 }]
  class Liar extends Uint8Array {
    override get length(): number {
      return -4
    }
    override subarray(): Uint8Array<ArrayBuffer> {
      return Uint8Array.of(9, 9, 9)
    }
  }
  const own = lies.map((value) => Object.defineProperty(Uint8Array.from(bytes), 'length', { value }))
  return [...own, new Liar(bytes)]
}

test('OutcomeWriter writes the actual bytes, whatever length the object claims', () => {
  for (const size of [3, 100]) {
    const honest = Array.from({ length: size }, (_, i) => i)
    for (const liar of liars(honest)) {
      const controlWords = new ControlWords(new ArrayBuffer(controlBytes))
      const log = new ArrayBuffer(outcomeBytes(1024))
      const writer = new OutcomeWriter(log, controlWords, 1024, noMetrics)
      const stream = new OutputStream('a', 0, 1, true)
      writer.output(stream, 'before', liar, 1, undefined)
      writer.output(stream, liar, 'behind', 2, undefined)
      writer.done(entryKind.record, verdict.processed)
      const published = new Uint8Array(log.slice(0, controlWords.word(control.published)))
      const records = [...entriesOf(published)].flatMap((entry) =>
        entry.kind === 'output' ? [[[...entry.record.key], [...entry.record.value]]] : [],
      )
      const text = (word: string) => [...Buffer.from(word)]
      assert.deepEqual(records, [
        [text('before'), honest],
        [honest, text('behind')],
      ])
    }
  }
})

test('OutcomeWriter refuses objects that only look like bytes', () => {
  const writer = new OutcomeWriter(
    new ArrayBuffer(outcomeBytes(1024)),
    new ControlWords(new ArrayBuffer(controlBytes)),
    1024,
    noMetrics,
  )
  const stream = new OutputStream('a', 0, 1, true)
  for (const fake of [Object.create(Uint8Array.prototype), new Proxy(new Uint8Array(3), {})])
    assert.throws(() => writer.output(stream, fake as Uint8Array, 'x', 1, undefined), TypeError)
})
