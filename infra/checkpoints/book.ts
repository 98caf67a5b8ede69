/**
 * SegmentBook: which segment holds the newest copy of each page of a slot, and so which segments are still needed.
 *
 *   B1. `live` of a segment is how many pages have their newest copy there.
 *   B2. A segment leaves the book when nothing in it is live; it may be deleted when no manifest names it any more.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import type { LoadedSegment } from './load.ts'
import type { SegmentInfo } from './manifest.ts'

/** If more pages are stored than this many times the live ones, and a few, the emptiest segment's are written again. */
const storedPerLive = 2
const slackPages = 4096
const segmentsMax = 64

interface Row extends LoadedSegment {
  readonly key: number
  live: number
}

export class SegmentBook {
  /** By page number: the key of its segment, 0 if it has none. */
  #homes = new Uint32Array(256)
  readonly #rows = new Map<number, Row>()
  /** Behind the last page that has one. */
  #end = 0
  #keys = 0
  #livePages = 0
  #storedPages = 0

  /** Segments with live pages, oldest first. */
  get segments(): SegmentInfo[] {
    return [...this.#rows.values()].map(({ info }) => info)
  }

  get livePages(): number {
    return this.#livePages
  }

  get storedPages(): number {
    return this.#storedPages
  }

  /** Forgets pages that are not needed any more, from `page` on. @returns Segments that have no live pages any more (B2). */
  forget(page: number): LoadedSegment[] {
    if (page >= this.#end) return []
    for (let at = page; at < this.#end; at++) {
      const row = this.#rows.get(this.#homes[at]!)
      this.#homes[at] = 0
      if (row === undefined) continue
      row.live -= 1
      this.#livePages -= 1
    }
    this.#end = page
    return this.#dropDead()
  }

  /** Adds a segment that is newer than all others. @returns Segments that have no live pages any more (B2). */
  add(segment: LoadedSegment, pages: Iterable<Uint32Array>): LoadedSegment[] {
    const row: Row = { ...segment, key: ++this.#keys, live: 0 }
    this.#rows.set(row.key, row)
    this.#storedPages += segment.info.pages
    for (const list of pages) for (const page of list) this.#place(page, row)
    return this.#dropDead()
  }

  /** Pages to be written again so that their segment can be deleted; none while the stored pages are in proportion. */
  pagesToMove(): number[] {
    const bound = storedPerLive * this.#livePages + slackPages
    if (this.#storedPages <= bound && this.#rows.size <= segmentsMax) return []
    let emptiest: Row | undefined
    for (const row of this.#rows.values())
      if (emptiest === undefined || share(row) < share(emptiest)) emptiest = row
    if (emptiest === undefined) return []
    const pages: number[] = []
    for (let page = 0; page < this.#homes.length; page++)
      if (this.#homes[page] === emptiest.key) pages.push(page)
    return pages
  }

  #place(page: number, row: Row): void {
    if (page >= this.#homes.length) {
      const longer = new Uint32Array(Math.max(page + 1, 2 * this.#homes.length))
      longer.set(this.#homes)
      this.#homes = longer
    }
    this.#end = Math.max(this.#end, page + 1)
    const before = this.#homes[page]!
    if (before === row.key) return
    const old = this.#rows.get(before)
    if (old === undefined) this.#livePages += 1
    else old.live -= 1
    this.#homes[page] = row.key
    row.live += 1
  }

  #dropDead(): LoadedSegment[] {
    const dead = [...this.#rows.values()].filter(({ live }) => live === 0)
    for (const { key, info } of dead) {
      this.#rows.delete(key)
      this.#storedPages -= info.pages
    }
    return dead
  }
}

function share({ live, info }: Row): number {
  return live / info.pages
}
