import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { entryKind, verdict } from '../../sdk/runtime/index.ts'
import { recordBytes, recordHeaderBytes } from '../../sdk/wire/frame.ts'
import { compare, isPutOff, putOffIn } from './compare.ts'

interface Output {
  readonly stream: number
  readonly partition: number
  readonly key: string
  readonly value: string
  readonly timeMs: number
}

interface Entry {
  readonly kind: 'record' | 'timer'
  readonly how: number
  readonly outputs: readonly Output[]
  /** Metrics and reports in front of it, which say nothing here. */
  readonly noise: boolean
}

/** As the runtime writes it (sdk/runtime/shared/layout.ts). */
function logOf(entries: readonly Entry[]): Uint8Array<ArrayBuffer> {
  const words: number[] = []
  for (const { kind, how, outputs, noise } of entries) {
    if (noise) words.push(entryKind.metric, 1, 2, entryKind.report, 5, 0x61616161, 0x61, entryKind.swept)
    for (const { stream, partition, key, value, timeMs } of outputs) {
      const [keyBytes, valueBytes] = [Buffer.from(key), Buffer.from(value)]
      const body = Buffer.alloc(recordBytes(keyBytes.length, valueBytes.length))
      body.writeInt32LE(valueBytes.length, 0)
      body.writeInt32LE(keyBytes.length, 4)
      body.writeUInt32LE(timeMs % 2 ** 32, 8)
      body.writeInt32LE(Math.floor(timeMs / 2 ** 32), 12)
      body.set(keyBytes, recordHeaderBytes)
      body.set(valueBytes, recordHeaderBytes + keyBytes.length)
      words.push(entryKind.output | (stream << 8) | (partition << 16))
      for (let at = 0; at < body.length; at += 4) words.push(body.readInt32LE(at))
    }
    words.push(entryKind[kind] | (how << 8))
  }
  return new Uint8Array(Int32Array.from(words).buffer)
}

const output: fc.Arbitrary<Output> = fc.record({
  stream: fc.nat(2),
  partition: fc.nat(3),
  key: fc.string({ maxLength: 5 }),
  value: fc.string({ maxLength: 9 }),
  timeMs: fc.integer({ min: 0, max: 2 ** 42 }),
})
const entry: fc.Arbitrary<Entry> = fc.record({
  kind: fc.constantFrom('record' as const, 'record' as const, 'timer' as const),
  how: fc.constantFrom(
    verdict.processed,
    verdict.processed,
    verdict.skipped,
    verdict.setAside,
    verdict.behind,
  ),
  outputs: fc.array(output, { maxLength: 3 }),
  noise: fc.boolean(),
})

/** The same again, but for what is changed in some. */
const change = fc.constantFrom(
  'key',
  'value',
  'timeMs',
  'partition',
  'less',
  'failed',
  'none',
  'none',
  'none',
)

function changed(one: Entry, what: string): Entry {
  const [first, ...rest] = one.outputs
  if (what === 'failed') return { ...one, how: verdict.skipped }
  if (what === 'none' || first === undefined) return { ...one, noise: !one.noise }
  if (what === 'less') return { ...one, outputs: rest }
  const other = {
    ...first,
    ...(what === 'key' && { key: `${first.key}!` }),
    ...(what === 'value' && { value: `${first.value}!` }),
    ...(what === 'timeMs' && { timeMs: first.timeMs + 1 }),
    ...(what === 'partition' && { partition: first.partition + 1 }),
  }
  return { ...one, outputs: [other, ...rest] }
}

/** The second and third streams change places; only the third is spread and not keyed. */
const live = ['a', 'b', 'c'].map((name) => ({ name, partitions: 8, keyed: name !== 'c' }))
const shadow = [live[0]!, live[2]!, live[1]!]

function seen({ how, outputs }: Entry, names: readonly { name: string; keyed: boolean }[]): string {
  const said = outputs.map(({ stream, partition, key, value, timeMs }) => {
    const { name, keyed } = names[stream]!
    return [name, keyed ? partition : '-', key, value, timeMs]
  })
  return JSON.stringify([how === verdict.processed, said])
}

test('compare finds differences record by record, and of timers together', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(entry, change), { maxLength: 12 }), (pairs) => {
      // What was put off is not given to the shadow; a timer is only processed or skipped.
      const ones = pairs.map(([one]) =>
        one.kind === 'timer' && isPutOff(one.how) ? { ...one, how: verdict.processed } : one,
      )
      const others = ones.map((one, i) => changed(one, pairs[i]![1]))
      const swapped = others.map((one) => ({
        ...one,
        outputs: one.outputs.map((out) => ({ ...out, stream: [0, 2, 1][out.stream]! })),
      }))
      const records = ones.flatMap((one, i) => (one.kind === 'record' ? [{ one, other: swapped[i]! }] : []))
      const expected = records.flatMap(({ one, other }, index) =>
        isPutOff(one.how) ? [] : [[index, seen(one, live) === seen(other, shadow)]],
      )
      const given = ones.map((one) => one.kind === 'timer' || !isPutOff(one.how))
      const timers = ones.flatMap((one, i) => (one.kind === 'timer' ? [{ one, other: swapped[i]! }] : []))
      const found: unknown[] = []
      let timersSame: boolean | undefined
      const liveLog = logOf(ones)
      compare(
        { log: liveLog, outputs: live },
        { log: logOf(swapped.filter((_, i) => given[i])), outputs: shadow },
        {
          record: (index, same) => found.push([index, same]),
          timers: (same) => {
            timersSame = same
          },
        },
      )
      assert.deepEqual(found, expected)
      const all = (side: 'one' | 'other', names: typeof live) => ({
        failed: timers.some((timer) => timer[side].how !== verdict.processed),
        said: timers.flatMap((timer) => JSON.parse(seen(timer[side], names))[1] as unknown[]),
      })
      assert.deepEqual(
        timersSame,
        timers.length === 0
          ? undefined
          : JSON.stringify(all('one', live)) === JSON.stringify(all('other', shadow)),
      )
      assert.deepEqual(
        putOffIn(liveLog),
        records.flatMap(({ one }, index) => (isPutOff(one.how) ? [index] : [])),
      )
    }),
  )
})

test('compare ends where a shadow has ended, and reports the records up to there', () => {
  const records = [1, 2, 3].map((partition): Entry => {
    const outputs = [{ stream: 0, partition, key: 'k', value: 'v', timeMs: 1 }]
    return { kind: 'record', how: verdict.processed, outputs, noise: false }
  })
  const found: number[] = []
  const side = (entries: readonly Entry[]) => ({ log: logOf(entries), outputs: live })
  compare(side(records), side(records.slice(0, 2)), {
    record: (index) => found.push(index),
    timers: () => assert.fail('there are none'),
  })
  assert.deepEqual(found, [0, 1])
})
