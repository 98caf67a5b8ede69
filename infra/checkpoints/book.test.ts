import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SegmentBook } from './book.ts'

/** A segment that holds these pages. */
function segmentOf(number: number, pages: readonly number[]) {
  return { info: { epoch: 1, number, parts: 1, pages: pages.length, crc: 0 }, sequences: [number] }
}

test('SegmentBook keeps exactly the segments that have the newest copy of a page that is needed', () => {
  const cut = fc.record({
    pages: fc.uniqueArray(fc.nat({ max: 3000 }), { minLength: 1, maxLength: 200 }),
    end: fc.oneof({ weight: 4, arbitrary: fc.constant(5000) }, fc.nat({ max: 3000 })),
  })
  fc.assert(
    fc.property(fc.array(cut, { maxLength: 30 }), (cuts) => {
      const book = new SegmentBook()
      const lists = cuts.map(({ pages }) => pages)
      const newest = new Map<number, number>()
      const left = new Set<number>()
      for (const [number, { pages, end }] of cuts.entries()) {
        for (const page of pages) newest.set(page, number)
        for (const page of newest.keys()) if (page >= end) newest.delete(page)
        const added = book.add(segmentOf(number, pages), [Uint32Array.from(pages)])
        for (const { info } of [...added, ...book.forget(end)]) left.add(info.number)
        const needed = new Set(newest.values())
        assert.deepEqual(new Set(book.segments.map((segment) => segment.number)), needed)
        assert.equal(book.livePages, newest.size)
        assert.equal(
          book.storedPages,
          [...needed].reduce((sum, each) => sum + lists[each]!.length, 0),
        )
        assert.equal(left.size + needed.size, number + 1)
      }
    }),
  )
})

test('SegmentBook bounds what is stored by having pages of the emptiest segment written again', () => {
  const book = new SegmentBook()
  const live = Array.from({ length: 20_000 }, (_, page) => page)
  book.add(segmentOf(0, live), [Uint32Array.from(live)])
  let moved: number[] = []
  let movedMost = 0
  for (let number = 1; number < 400; number++) {
    const changed = Array.from({ length: 1000 }, (_, i) => (number * 7919 + i * 13) % 20_000)
    const pages = [...new Set([...changed, ...moved])]
    book.add(segmentOf(number, pages), [Uint32Array.from(pages)])
    moved = book.pagesToMove()
    movedMost = Math.max(movedMost, moved.length)
    assert.ok(book.storedPages <= 2 * book.livePages + 4096 + 20_000)
    assert.ok(book.segments.length <= 66)
  }
  assert.equal(book.livePages, 20_000)
  assert.ok(movedMost > 0 && movedMost < 15_000, `${movedMost} pages at once`)
})
