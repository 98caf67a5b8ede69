import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { Capture, dirtyPages, isDirty, markDirty } from './capture.ts'
import { Arena, faultsOf, OwnSlabs, openArena, type Slabs } from './index.ts'
import { Memory } from './memory.ts'
import { finishRestore, PagedSlabs, restorePages } from './paged-slabs.ts'
import { type PageKeeper, pageBytes } from './pages.ts'
import { Shadow, shadowBytes, shadowBytesUsed } from './shadow.ts'
import { applyTo, applyToModel, type Contents, contentsOf, randomOf, transactionOf } from './testing.ts'

const slabBytes = 256 * 1024
const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes)
const ownSlabs = (): OwnSlabs => new OwnSlabs({ slabBytes, make: shared })

/** What a store of checkpoints would hold: the newest copy of each page. */
class Kept {
  readonly pages = new Map<number, Uint8Array>()
  sizes: number[] = []

  /** A new arena out of what is kept. */
  restore(interrupted?: { commitWord: number; newCommitWord: number }): OwnSlabs {
    let index = 0
    const slabs = new OwnSlabs({ slabBytes, make: () => shared(this.sizes[index]!) })
    for (; index < this.sizes.length; index++) slabs.grow(0)
    const paged = new PagedSlabs(slabs)
    for (const [page, bytes] of this.pages) restorePages(paged, [page], bytes)
    finishRestore(slabs, interrupted)
    return slabs
  }
}

/** Takes captures of one arena, a few pages at a time. */
class Taker {
  readonly kept = new Kept()
  readonly shadow: SharedArrayBuffer
  readonly #slabs: Slabs
  readonly #capture: Capture
  readonly #pages = new Uint32Array(3)
  readonly #bytes = new Uint8Array(3 * pageBytes)
  readonly #found: [number, Uint8Array][] = []
  #sizes: number[] | undefined

  constructor(slabs: Slabs, shadowPages = 4096) {
    this.#slabs = slabs
    this.shadow = shared(shadowBytes(shadowPages))
    this.#capture = new Capture(this.shadow)
  }

  get capturing(): boolean {
    return this.#sizes !== undefined
  }

  get overflown(): boolean {
    return this.#capture.overflown
  }

  get pending(): number {
    return this.#capture.pending
  }

  cut(interrupted = false): void {
    this.#capture.cut([[0, this.#slabs]], interrupted)
    this.#sizes = Array.from({ length: this.#slabs.count }, (_, index) => this.#slabs.get(index).byteLength)
  }

  /** A few pages. @returns Whether the capture is complete; then it is kept. */
  slice(): boolean {
    const count = this.#capture.read(0, this.#pages, this.#bytes)
    for (let i = 0; i < count; i++)
      this.#found.push([this.#pages[i]!, this.#bytes.slice(i * pageBytes, (i + 1) * pageBytes)])
    if (count > 0) return false
    for (const [page, bytes] of this.#found.splice(0)) this.kept.pages.set(page, bytes)
    this.kept.sizes = this.#sizes!
    this.#sizes = undefined
    this.#capture.end(0)
    return true
  }

  finish(): void {
    while (!this.slice()) {}
  }

  abandon(): void {
    this.#capture.abandon()
    this.#found.length = 0
    this.#sizes = undefined
  }
}

class Stopped extends Error {}

/** Memory whose stores are places where the host may do something, or the writer be stopped. */
class SteppedMemory extends Memory {
  step: () => void = () => undefined

  protected override view(slab: ArrayBufferLike): Int32Array {
    return new Proxy(super.view(slab), {
      get: (words, name) => Reflect.get(words, name),
      set: (words, name, value) => {
        this.step()
        words[Number(name)] = value
        return true
      },
    })
  }
}

/** A keeper that lets the host in before and after it has kept a page. */
function stepped(shadow: ArrayBufferLike, step: () => void): PageKeeper {
  const keeper = new Shadow(shadow).of(0)
  return {
    keep(page, words, at) {
      step()
      keeper.keep(page, words, at)
      step()
    },
  }
}

function verify(slabs: OwnSlabs, expected: Contents): void {
  assert.deepEqual(contentsOf(openArena(slabs)), expected)
  assert.deepEqual(faultsOf(slabs), [])
}

/** Transactions of a writer beside a host that cuts and captures in between its stores, all out of one number. */
function history(seed: number, transactions: number): { captures: number; stops: number; abandoned: number } {
  const random = randomOf(seed)
  const slabs = ownSlabs()
  slabs.grow(0)
  const taker = new Taker(slabs)
  const seen = { captures: 0, stops: 0, abandoned: 0 }
  let expected: Contents = new Map()
  let stopAfter = 0
  /** Looked at between two operations only: arenas of one realm share what they stage arguments in. */
  const complete: [OwnSlabs, Contents][] = []
  const step = (): void => {
    if (taker.capturing && random() % 64 === 0 && taker.slice())
      complete.push([taker.kept.restore(), expected])
    if (stopAfter > 0 && --stopAfter === 0) throw new Stopped()
  }
  const open = (): Arena => {
    const memory = new SteppedMemory(slabs, stepped(taker.shadow, step))
    const arena = new Arena(memory) // undoes what was not committed, the host at its side
    memory.step = step
    return arena
  }
  let arena = open()
  const model = new Map<string, string>()
  for (let number = 0; number < transactions; number++) {
    if (!taker.capturing && random() % 4 === 0) {
      taker.cut()
      expected = new Map(model)
    } else if (taker.capturing && random() % 40 === 0) {
      taker.abandon()
      seen.abandoned++
    }
    const changes = transactionOf(seed + number, 200)
    const rolledBack = random() % 5 === 0
    stopAfter = random() % 7 === 0 ? 1 + (random() % 400) : 0
    try {
      applyTo(arena, changes)
      if (rolledBack) arena.rollback()
      else arena.commit()
      if (!rolledBack) applyToModel(model, changes)
      stopAfter = 0
    } catch (error) {
      if (!(error instanceof Stopped)) throw error
      seen.stops++
      arena = open()
      const found = contentsOf(arena)
      const withThem = new Map(model)
      applyToModel(withThem, changes)
      if (found.size === withThem.size && [...found].every(([key, value]) => withThem.get(key) === value))
        applyToModel(model, changes) // it was stopped behind the one store that decides
      assert.deepEqual(found, model)
    }
    for (const [restored, contents] of complete.splice(0)) {
      verify(restored, contents)
      seen.captures++
    }
  }
  return seen
}

test('Capture gives the state at the cut, whatever the writer does meanwhile and wherever it stops', () => {
  const sums = { captures: 0, stops: 0, abandoned: 0 }
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const seen = history(seed, 60)
      for (const key of ['captures', 'stops', 'abandoned'] as const) sums[key] += seen[key]
    }),
    { numRuns: 60 },
  )
  assert.ok(sums.captures > 100 && sums.stops > 100 && sums.abandoned > 5, JSON.stringify(sums))
})

test('Capture of an arena whose writer was stopped includes the journal, so opening it undoes the transaction', () => {
  for (let stopAfter = 1; stopAfter < 2500; stopAfter += 83) {
    const slabs = ownSlabs()
    slabs.grow(0)
    const taker = new Taker(slabs)
    const word = { words: new Int32Array(1), index: 0 }
    const memory = new SteppedMemory(slabs, new Shadow(taker.shadow).of(0))
    const arena = new Arena(memory, { commitWord: word })
    const model = new Map<string, string>()
    const first = Array.from({ length: 900 }, (_, i) => ({ key: `key ${i}`, value: new Uint8Array(20) }))
    applyTo(arena, first)
    applyToModel(model, first)
    arena.commit()
    word.words[0]!++
    taker.cut()
    taker.finish()
    let left = stopAfter
    memory.step = () => {
      if (--left === 0) throw new Stopped()
    }
    const many = first.map(({ key }, i) => ({ key, value: i % 3 === 0 ? undefined : new Uint8Array(i % 70) }))
    assert.throws(() => applyTo(arena, many), Stopped)
    taker.cut(true)
    taker.finish()
    const restored = taker.kept.restore({ commitWord: word.words[0]!, newCommitWord: 77 })
    const commitWord = { words: Int32Array.of(77), index: 0 }
    assert.deepEqual(contentsOf(openArena(restored, { commitWord })), model)
    assert.deepEqual(faultsOf(restored), [])
  }
})

test('Capture of an unchanged arena is empty, and of marked pages has their contents', () => {
  const slabs = ownSlabs()
  const taker = new Taker(slabs)
  assert.equal(isDirty(slabs), false)
  const arena = openArena(slabs, { keeper: new Shadow(taker.shadow).of(0) })
  arena.set('key', 'value')
  arena.commit()
  assert.equal(isDirty(slabs), true)
  taker.cut()
  taker.finish()
  assert.equal(isDirty(slabs), false)
  const pages = [...taker.kept.pages.keys()]
  taker.kept.pages.clear()
  taker.cut()
  taker.finish()
  assert.equal(taker.kept.pages.size, 0)
  markDirty(slabs, pages)
  markDirty(slabs, [1_000_000])
  taker.cut()
  taker.finish()
  assert.deepEqual([...taker.kept.pages.keys()], pages)
  verify(taker.kept.restore(), contentsOf(arena))
})

test('Capture tells how many pages may still be copied: neither those that it has read nor those in the shadow', () => {
  const slabs = ownSlabs()
  const taker = new Taker(slabs)
  const arena = openArena(slabs, { keeper: new Shadow(taker.shadow).of(0) })
  for (let i = 0; i < 600; i++) arena.set(`key ${i}`, 'x'.repeat(1000)) // several slabs
  arena.commit()
  const dirtyNow = (): number => dirtyPages(slabs, 10_000)!.pages.length
  const dirty = dirtyNow()
  assert.ok(slabs.count > 1 && dirty > 600)
  assert.equal(taker.pending, 0)
  taker.cut()
  assert.equal(taker.pending, dirty)
  taker.slice()
  assert.equal(taker.pending, dirty - 3)
  for (let i = 300; i < 310; i++) arena.set(`key ${i}`, 'y'.repeat(1000))
  arena.commit()
  const rows = (shadowBytesUsed(taker.shadow) - shadowBytes(0)) / (shadowBytes(1) - shadowBytes(0))
  assert.ok(rows >= 10)
  assert.equal(taker.pending, dirty - 3 - rows)
  while (taker.pending > 0) taker.slice()
  assert.equal(taker.slice(), false, 'what is in the shadow was not read yet')
  taker.finish()
  const changed = dirtyNow()
  taker.cut()
  assert.equal(taker.pending, changed)
  taker.abandon()
  assert.equal(taker.pending, 0)
})

test('Capture includes an index that has grown since the last one', () => {
  const slabs = ownSlabs()
  const taker = new Taker(slabs)
  const arena = openArena(slabs, { keeper: new Shadow(taker.shadow).of(0) })
  for (let i = 0; i < 12_000; i++) {
    arena.set(`key ${i}`, '')
    arena.commit()
    if (i % 1000 !== 0) continue
    taker.cut()
    taker.finish()
  }
  taker.cut()
  taker.finish()
  verify(taker.kept.restore(), contentsOf(arena))
})

/** What the host does in one capture, a page at a time, while its writer works. */
class Drain {
  readonly #capture: Capture
  readonly #kept: Kept
  readonly #pages = new Uint32Array(1)
  #isDone = false

  constructor(capture: Capture, kept: Kept) {
    this.#capture = capture
    this.#kept = kept
  }

  /** Reads all that is left: some pages twice, with the same content (P2). */
  all(bytes = new Uint8Array(pageBytes)): void {
    if (this.#isDone) return
    const found = new Map<number, Uint8Array>()
    while (this.#capture.read(0, this.#pages, bytes) > 0) {
      const page = this.#pages[0]!
      assert.deepEqual(bytes.slice(), found.get(page) ?? bytes.slice())
      found.set(page, bytes.slice())
    }
    for (const [page, copy] of found) this.#kept.pages.set(page, copy)
    this.#capture.end(0)
    this.#isDone = true
  }
}

/** Many times: a value is set, a cut is made, and `beside` sets the next value and captures in some order. */
function cuts(
  beside: (drain: Drain, set: () => void, host: (step: () => void) => void, round: number) => void,
): void {
  const slabs = ownSlabs()
  const shadow = shared(shadowBytes(256))
  const idle = (): void => undefined
  let step = idle
  const arena = openArena(slabs, { keeper: stepped(shadow, () => step()) })
  applyTo(
    arena,
    Array.from({ length: 40 }, (_, i) => ({ key: `filler ${i}`, value: new Uint8Array(900) })),
  )
  arena.commit()
  const set = (value: string): void => {
    arena.set('key', value)
    arena.commit()
  }
  const capture = new Capture(shadow)
  const kept = new Kept()
  for (let round = 0; round < 60; round++) {
    set(`old ${round}`)
    capture.cut([[0, slabs]])
    kept.sizes = Array.from({ length: slabs.count }, (_, index) => slabs.get(index).byteLength)
    const drain = new Drain(capture, kept)
    const host = (next: () => void): void => {
      step = next
    }
    beside(drain, () => set(`new ${round}`), host, round)
    step = idle
    drain.all()
    assert.equal(openArena(kept.restore()).getText('key'), `old ${round}`, `round ${round}`)
    assert.equal(arena.getText('key'), `new ${round}`)
  }
}

test('Capture misses no page that its writer is keeping at that moment', () => {
  cuts((drain, set, host) => {
    host(() => drain.all())
    set()
  })
})

test('Capture discards its copy of a page that the writer changed meanwhile, and gets the one that was kept', () => {
  cuts((drain, set, _, round) => {
    let copies = 0
    /** The writer comes in when a page has been copied, and before it is marked. */
    class Overtaken extends Uint8Array {
      override set(source: ArrayLike<number>, at?: number): void {
        if (copies++ === round % 8) set()
        super.set(source, at)
      }
    }
    drain.all(new Overtaken(pageBytes))
    if (copies <= round % 8) set()
  })
})

test('Capture reports a shadow that was too small, and abandoning it loses nothing', () => {
  const slabs = ownSlabs()
  const taker = new Taker(slabs, 2)
  const arena = openArena(slabs, { keeper: new Shadow(taker.shadow).of(0) })
  const fill = (value: string): void => {
    for (let i = 0; i < 300; i++) arena.set(`key ${i}`, value)
    arena.commit()
  }
  fill('one')
  taker.cut()
  fill('two')
  assert.equal(taker.overflown, true)
  taker.abandon()
  taker.cut()
  assert.equal(taker.overflown, false)
  taker.finish()
  verify(taker.kept.restore(), contentsOf(arena))
})

test('Capture of a restored arena includes what was undone in it', () => {
  const slabs = ownSlabs()
  slabs.grow(0)
  const commitWord = { words: new Int32Array(1), index: 0 }
  const first = new Taker(slabs)
  const arena = new Arena(new Memory(slabs, new Shadow(first.shadow).of(0)), { commitWord })
  const fill = (value: number): void =>
    applyTo(
      arena,
      Array.from({ length: 900 }, (_, i) => ({ key: `key ${i}`, value: new Uint8Array(20).fill(value) })),
    )
  fill(1)
  arena.commit()
  commitWord.words[0]! += 1
  const committed = contentsOf(arena)
  first.cut()
  first.finish()
  fill(2) // its isolate is ended in the middle of the record; the last checkpoint takes that along
  first.cut(true)
  first.finish()

  const second = first.kept.restore({ commitWord: commitWord.words[0]!, newCommitWord: 77 })
  const next = new Taker(second)
  for (const [page, bytes] of first.kept.pages) next.kept.pages.set(page, bytes)
  const owner = { commitWord: { words: Int32Array.of(77), index: 0 } }
  const reopened = new Arena(new Memory(second, new Shadow(next.shadow).of(0)), owner)
  assert.deepEqual(contentsOf(reopened), committed)
  reopened.rest()
  next.cut()
  next.finish()
  verify(next.kept.restore(), committed)
})

test('Capture trusts nothing in shared memory', () => {
  const slabs = ownSlabs()
  const taker = new Taker(slabs)
  openArena(slabs)
  new Int32Array(slabs.get(0))[6] = 7
  assert.throws(() => taker.cut(), { code: 'ERR_STATE_FORMAT', message: /age 7/ })
  new Int32Array(slabs.get(0))[6] = 1
  taker.cut()
  new Shadow(taker.shadow).of(0).keep(99_999, new Int32Array(256), 0)
  assert.throws(() => taker.finish(), { code: 'ERR_STATE_FORMAT', message: /page 99999/ })
})

test('Capture works beside a writer on another thread', async () => {
  const rounds = 60
  const memories = Array.from({ length: 12 }, (_, i) => shared(i < 4 ? 65_536 : slabBytes))
  let index = 0
  const slabs = new OwnSlabs({ slabBytes, make: () => memories[index]! })
  for (; index < memories.length; index++) slabs.grow(0)
  const taker = new Taker(slabs)
  const writer = new Worker(new URL('./testing-writer.ts', import.meta.url), {
    workerData: { memories, slabBytes, shadow: taker.shadow },
  })
  try {
    await once(writer, 'message')
    const model = new Map<string, string>()
    for (let round = 0; round < rounds; round++) {
      taker.cut()
      const expected = new Map(model)
      writer.postMessage(round)
      let busy = true
      writer.once('message', () => {
        busy = false
      })
      while (!taker.slice()) if (busy) await new Promise((resolve) => setImmediate(resolve))
      verify(taker.kept.restore(), expected)
      if (busy) await once(writer, 'message')
      for (let i = 0; i < 100; i++) applyToModel(model, transactionOf(round * 100 + i, 3000))
    }
  } finally {
    await writer.terminate()
  }
})
