import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { randomSource } from '../bench/load/workload.ts'
import { check } from './checker.ts'
import type { HistoryEvent } from './event.ts'
import { eventsOf } from './explain.ts'
import { HistoryJoiner } from './file.ts'
import { Intervals } from './intervals.ts'
import { faults, sameChannel } from './planted.ts'
import { joinedAnyhow, type Random, soundHistory } from './sound.ts'

const source = fc.record({ seed: fc.nat(), steps: fc.integer({ min: 20, max: 150 }) })

function randomOf(seed: number): Random {
  const next = randomSource(seed + 1)
  return (n) => Math.floor(next() * n)
}

test('check calls random sound histories sound, and no record is forgotten in its counts', () => {
  fc.assert(
    fc.property(source, ({ seed, steps }) => {
      const { sound, findings, counts } = check('output', soundHistory(randomOf(seed), steps))
      assert.ok(sound, JSON.stringify(findings, null, 1))
      assert.equal(counts['sent'], counts['output']! + counts['dropped']! + counts['unaccounted']!)
    }),
    { numRuns: 1000 },
  )
})

test('check judges a sound history the same in whatever order the files of several processes were joined (H2 of channel.ts)', () => {
  fc.assert(
    fc.property(source, ({ seed, steps }) => {
      const random = randomOf(seed)
      const { sound, findings } = check('output', joinedAnyhow(soundHistory(random, steps), random))
      assert.ok(sound, JSON.stringify(findings, null, 1))
    }),
    { numRuns: 1000 },
  )
})

for (const [name, plant] of Object.entries(faults)) {
  test(`check finds and names: ${name}`, () => {
    let planted = 0
    fc.assert(
      fc.property(source, ({ seed, steps }) => {
        const random = randomOf(seed)
        const fault = plant(soundHistory(random, steps), random)
        if (fault === undefined) return
        planted += 1
        const { findings } = check('output', fault.events)
        const finding = findings.find(
          ({ kind, from, count, ...where }) =>
            kind === fault.kind &&
            sameChannel(where, fault.at) &&
            from <= fault.at.from &&
            fault.at.from < from + Math.max(1, count),
        )
        assert.ok(finding, `${fault.kind} of ${JSON.stringify(fault.at)} among ${JSON.stringify(findings)}`)
        assert.ok(eventsOf([finding], fault.events).get(finding)!.length > 0 || fault.kind === 'loss')
      }),
      { numRuns: 300 },
    )
    assert.ok(planted > 60, `planted ${planted} times`)
  })
}

test('check lets as many records be given up and put out as the header says', () => {
  const plant = faults['records given up though they were put out']!
  let planted = 0
  fc.assert(
    fc.property(source, ({ seed, steps }) => {
      const random = randomOf(seed)
      const events = plant(soundHistory(random, steps), random)?.events
      if (events === undefined) return
      planted += 1
      assert.deepEqual(check('output', events).records, { overcount: 1 })
      assert.ok(check('output', events, 1).sound)
    }),
    { numRuns: 300 },
  )
  assert.ok(planted > 60, `planted ${planted} times`)
})

test('HistoryJoiner changes no verdict', () => {
  const plants = [undefined, ...Object.values(faults)]
  fc.assert(
    fc.property(source, fc.nat(plants.length - 1), ({ seed, steps }, index) => {
      const random = randomOf(seed)
      const sound = soundHistory(random, steps)
      const events = plants[index]?.(sound, random)?.events ?? sound
      const joined: HistoryEvent[] = []
      const joiner = new HistoryJoiner((event) => joined.push(event))
      for (const event of events) joiner.add(event)
      joiner.flush()
      assert.ok(joined.length <= events.length)
      assert.deepEqual(check('output', joined).records, check('output', events).records)
    }),
    { numRuns: 500 },
  )
})

test('check with complete "processed" asks for no outputs', () => {
  const events = soundHistory(randomOf(7), 100).filter((e) => e.event !== 'output' && e.event !== 'fired')
  assert.ok(check('processed', events).sound)
  const lost = events.findIndex((e) => e.event === 'processed')
  assert.ok(check('processed', events.toSpliced(lost, 1)).records.loss === 1)
})

test('check without an end calls nothing stuck', () => {
  const events: HistoryEvent[] = [
    { event: 'claim', consumer: 'f', owner: 'o', epoch: 1, partitions: { s: [0] } },
    { event: 'sent', stream: 's', partition: 0, producer: 'p', from: 0, count: 5 },
  ]
  assert.ok(check('output', events).sound)
  assert.deepEqual(check('output', [...events, { event: 'end' }]).records, { stuck: 5 })
})

test('Intervals is the set that a Set would be', () => {
  const ranges = fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 8 })), { maxLength: 30 })
  fc.assert(
    fc.property(ranges, ranges, (first, second) => {
      const sets = [first, second].map((list) => {
        const [intervals, set] = [new Intervals(), new Set<number>()]
        for (const [from, count] of list) {
          const numbers = Array.from({ length: count }, (_, i) => from + i)
          const before = numbersOf(intervals.add(from, from + count))
          assert.deepEqual(
            before,
            numbers.filter((n) => set.has(n)),
          )
          for (const n of numbers) set.add(n)
        }
        assert.deepEqual(
          numbersOf(intervals.ranges),
          [...set].sort((a, b) => a - b),
        )
        assert.equal(intervals.size, set.size)
        for (let n = 0; n < 70; n++) assert.equal(intervals.has(n), set.has(n))
        for (const [from, count] of second) {
          assert.equal(intervals.hasAny(from, from + count), intervals.within(from, from + count).length > 0)
          assert.ok(!intervals.hasAny(from, from))
        }
        return { intervals, set }
      })
      const [a, b] = [sets[0]!, sets[1]!]
      const sorted = [...a.set].sort((x, y) => x - y)
      assert.deepEqual(
        numbersOf(a.intervals.minus(b.intervals)),
        sorted.filter((n) => !b.set.has(n)),
      )
      assert.deepEqual(
        numbersOf(a.intervals.and(b.intervals)),
        sorted.filter((n) => b.set.has(n)),
      )
    }),
    { numRuns: 1000 },
  )
})

function numbersOf(ranges: readonly (readonly [number, number])[]): number[] {
  return ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i))
}
