import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FrameHeader } from '../../sdk/wire/frame.ts'
import { type Frame, FrameLog, type LogReader } from './frame-log.ts'

function frame(partition: number, producer: string, sequence: number, count: number, bytes = 100): Frame {
  return {
    bytes: new Uint8Array(bytes),
    header: { partition, producer, sequence, count } as FrameHeader,
  }
}

/** A reader that keeps account: what it was shown and told of each lane must follow on what it knew. */
class Account {
  readonly reader: LogReader
  readonly #log: FrameLog
  readonly #next: Map<string, number>

  constructor(log: FrameLog, ends: ReadonlyMap<string, number>) {
    this.#log = log
    this.reader = log.join()
    this.#next = new Map(ends)
  }

  /** Takes one thing. @returns Whether there was one. */
  take(): boolean {
    const taken = this.#log.take(this.reader)
    if (taken === undefined) return false
    if ('bytes' in taken) {
      const { partition, producer, sequence, count } = taken.header
      this.#tell(`${partition} ${producer}`, count, sequence)
    } else {
      for (const { partition, producer, records } of taken) this.#tell(`${partition} ${producer}`, records)
    }
    return true
  }

  #tell(lane: string, records: number, sequence?: number): void {
    assert.ok(records > 0)
    const next = this.#next.get(lane) ?? 0
    assert.equal(sequence ?? next, next, `${lane}: what is shown follows on what was told`)
    this.#next.set(lane, next + records)
  }

  check(ends: ReadonlyMap<string, number>): void {
    while (this.take());
    assert.deepEqual(this.#next, ends)
  }
}

const lane = fc.record({ partition: fc.nat(1), producer: fc.constantFrom('a', 'b') })
const step = fc.oneof(
  fc.record({
    do: fc.constantFrom('frame' as const, 'gap' as const),
    lane,
    count: fc.integer({ min: 1, max: 5 }),
  }),
  fc.record({ do: fc.constantFrom('take' as const, 'leave' as const), who: fc.nat(3) }),
  fc.record({ do: fc.constantFrom('join' as const, 'drop' as const) }),
)

test('FrameLog reports every record since a reader joined, and keeps no entry that all have passed (L1, L2)', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const log = new FrameLog()
      const ends = new Map<string, number>()
      let accounts = [new Account(log, ends)]
      for (const each of steps) {
        if ('lane' in each) {
          const { partition, producer } = each.lane
          const key = `${partition} ${producer}`
          const end = ends.get(key) ?? 0
          ends.set(key, end + each.count)
          if (each.do === 'frame') log.addFrame(frame(partition, producer, end, each.count))
          else log.addGap(partition, producer, each.count)
        } else if ('who' in each) {
          const account = accounts[each.who]
          if (each.do === 'take') account?.take()
          else if (account !== undefined && accounts.length > 1) {
            log.leave(account.reader)
            accounts = accounts.filter((other) => other !== account)
          }
        } else if (each.do === 'join') accounts.push(new Account(log, ends))
        else log.dropOldest()
      }
      for (const account of accounts) account.check(ends)
      assert.deepEqual([log.entries, log.bytes, log.readers], [0, 0, accounts.length])
    }),
    { numRuns: 500 },
  )
})

test('FrameLog keeps a frame once, however many readers have not passed it', () => {
  const log = new FrameLog()
  const readers = Array.from({ length: 100 }, () => log.join())
  for (let i = 0; i < 10; i++) log.addFrame(frame(0, 'a', i, 1, 1000))
  assert.ok(log.bytes < 14_000, `${log.bytes}`)
  for (const reader of readers.slice(1)) while (log.take(reader) !== undefined);
  assert.equal(log.entries, 10)
  log.leave(readers[0]!)
  assert.deepEqual([log.entries, log.bytes], [0, 0])
})
