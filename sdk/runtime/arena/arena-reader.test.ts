import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ArenaReader, OwnSlabs, openArena, partKind, placesMax } from './index.ts'
import { applyTo, applyToModel, copyOf, transactionOf } from './testing.ts'

const utf8 = new TextEncoder()
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test('ArenaReader finds exactly what was committed, in an arena that another one works on, and changes nothing (AR1, AR2)', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 1_000_000 }), { minLength: 1, maxLength: 30 }), (numbers) => {
      const slabs = new OwnSlabs({ slabBytes: 256 * 1024 })
      const arena = openArena(slabs, { clock: { nowMs: 1 } })
      const model = new Map<string, string>()
      for (const number of numbers) {
        const changes = transactionOf(number, 400)
        applyTo(arena, changes)
        applyToModel(model, changes)
        arena.commit()
      }
      const before = copyOf(slabs)
      const reader = new ArenaReader(slabs, 1, 1)
      assert.deepEqual(
        [reader.entries, reader.bytes, reader.timers],
        [arena.entries, arena.bytes, arena.timers.count],
      )
      for (let i = 0; i < 401; i++) {
        const key = utf8.encode(`key ${i}`)
        const found = reader.find(key)
        assert.equal(found && hex(found.read(found.bytes)), model.get(hex(key)))
        assert.equal(found?.format, undefined)
      }
      for (const key of ['timer 0', 'timer 4', 'key 1']) {
        const timers = [...reader.partsOf(utf8.encode(key), [partKind.timer])].map(({ number }) => number)
        const wanted = arena.timers.list().filter((timer) => timer.key === key)
        assert.deepEqual(new Set(timers), new Set(wanted.map(({ timeMs }) => timeMs)))
      }
      const listed = new Map<string, string>()
      const prefix = utf8.encode('key 1')
      for (let place = 0; place < placesMax; ) {
        const { entries, next } = reader.chainAt(place, prefix)
        for (const { key, part, read, bytes } of entries)
          if (part === undefined) listed.set(hex(key), hex(read(bytes)))
        place = next
      }
      assert.deepEqual(listed, new Map([...model].filter(([key]) => key.startsWith(hex(prefix)))))
      for (let i = 0; i < slabs.count; i++)
        assert.deepEqual(Buffer.from(slabs.get(i)), Buffer.from(before.get(i)))
    }),
    { numRuns: 30 },
  )
})

test('Whoever goes through an arena by chainAt meets each entry once that stays, while others come and go', () => {
  const all = new Uint8Array(0)
  const clock = { nowMs: 1 }
  fc.assert(
    fc.property(fc.nat({ max: 1_000_000 }), fc.nat({ max: 500 }), fc.nat({ max: 7 }), (seed, more, few) => {
      const slabs = new OwnSlabs({ slabBytes: 256 * 1024 })
      const arena = openArena(slabs, { clock })
      for (let i = 0; i < 700; i++) arena.set(`stays ${i}`, String(i))
      arena.commit()
      const listed: string[] = []
      for (let place = 0, pages = 0; place < placesMax; pages++) {
        const { entries, next } = new ArenaReader(slabs, 1, clock.nowMs).chainAt(place, all)
        const isPart = pages % 8 === few
        const told = isPart ? entries.slice(0, 1) : entries
        for (const { key, read, bytes } of told) {
          const name = Buffer.from(key).toString()
          if (!name.startsWith('stays')) continue
          listed.push(name)
          assert.equal(Buffer.from(read(bytes)).toString(), name.slice(6))
        }
        place = isPart && told[0] !== undefined ? told[0].place + 1 : next
        if (pages % 100 !== 0 || pages > 1000) continue
        for (let i = 0; i < more; i++) arena.set(`comes ${pages} ${i}`, '')
        for (const change of transactionOf(seed + pages, 400)) applyTo(arena, [change])
        arena.commit()
      }
      assert.deepEqual([listed.length, new Set(listed).size], [700, 700])
    }),
    { numRuns: 20 },
  )
})

test('ArenaReader throws where words lead nowhere or in a circle, and does not hang (AR3)', () => {
  const slabs = new OwnSlabs({ slabBytes: 256 * 1024 })
  const arena = openArena(slabs)
  arena.set('key', 'value')
  arena.commit()
  const words = new Int32Array(slabs.get(0) as ArrayBuffer)
  const key = Buffer.from('key').readUIntLE(0, 3)
  const entry =
    words.findIndex((word, i) => word === key && words[i - 1] === (3 | (words[i - 1]! & ~0xffff))) - 4
  assert.equal(new ArenaReader(slabs, 1, 0).find('key')?.bytes, 5)
  words[entry + 2]! ^= 1 // another hash, so that the walk goes on
  for (const next of [entry, 2 ** 30]) {
    words[entry + 1] = next
    assert.throws(() => new ArenaReader(slabs, 1, 0).find('key'))
  }
})
