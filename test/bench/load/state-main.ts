/**
 * The process of `state`: `node --expose-gc state-main.ts KEYS STORES`. Fills the stores named (`arena`, `map`, joined by a
 * comma) with so many keys of 16 bytes and values of 64, and from then on answers each line `{"store"}` of its input with
 * what an operation costs. Both live in one isolate, so the Map's garbage is collected beside the arena and the other way.
 * @module
 */
import { createInterface } from 'node:readline'
import { OwnSlabs, openArena } from '../../../sdk/runtime/arena/index.ts'
import { arenaStore, fill, keyOf, MapStore, type Store, scattered } from './stores.ts'

/** CPU microseconds of an operation, of all threads, garbage collection's too. */
export interface StateReport {
  readonly getMicros: number
  readonly setMicros: number
  /** Memory taken over bytes of keys and values. */
  readonly memoryRatio: number
  /** Of an arena only. */
  readonly longestInsert?: LongestInsert
}

/** What growing costs at its worst, in milliseconds: each insert at its best of a few runs, so that it is not somebody else's time slice. */
interface LongestInsert {
  /** With slabs that were used before, as partitions come and go: what the arena does itself. */
  readonly usedMs: number
  /** With slabs of memory that is new to the process: beside that what the machine does, and where it is virtual, its host. */
  readonly newMs: number
}

const operations = 1_000_000
const longestInsertRuns = 3
const keys = Number(process.argv[2])
const value = new Uint8Array(64)
const numbers = scattered(keys, Math.min(operations, 10 * keys))
const bytesStored = keys * (16 + value.length)
let seen = 0

const stores: Record<string, { readonly store: Store; readonly memoryRatio: number }> = {}
for (const name of process.argv[3]!.split(',')) stores[name] = name === 'arena' ? filledArena() : filledMap()
const longest = 'arena' in stores ? longestInsert() : undefined
// A pass that nobody times: the first would pay for what filling left over, cold code and what V8 has yet to sweep.
for (const { store } of Object.values(stores)) getAll(store)
console.log(JSON.stringify({ ready: true }))
for await (const line of createInterface({ input: process.stdin })) {
  const { store: name } = JSON.parse(line) as { store: string }
  const { store, memoryRatio } = stores[name]!
  const report: StateReport = {
    getMicros: microsOf(() => getAll(store)),
    setMicros: microsOf(() => setAll(store)),
    memoryRatio,
    ...(name === 'arena' && longest !== undefined ? { longestInsert: longest } : {}),
  }
  console.log(JSON.stringify(report))
}
process.exit(seen < 0 ? 1 : 0) // so that nothing which was read can be optimised away

function filledArena() {
  const store = arenaStore()
  fill(store, keys, value)
  return { store, memoryRatio: store.heldBytes / store.bytes }
}

function filledMap() {
  const before = heldBytes()
  const store = new MapStore()
  fill(store, keys, value)
  return { store, memoryRatio: (heldBytes() - before) / bytesStored }
}

function heldBytes(): number {
  globalThis.gc!()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function getAll(store: Store): void {
  for (let i = 0; i < numbers.length; i++) {
    seen += store.get(keyOf(numbers[i]!))![0]!
    store.commit()
  }
}

function setAll(store: Store): void {
  for (let i = 0; i < numbers.length; i++) {
    value[0] = i
    store.set(keyOf(numbers[i]!), value)
    store.commit()
  }
}

function microsOf(run: () => void): number {
  const before = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / numbers.length
}

function longestInsert(): LongestInsert {
  const runs: SharedArrayBuffer[][] = [] // all are held: none is given what another had
  const newMs = longestOf(() => {
    const slabs: SharedArrayBuffer[] = []
    runs.push(slabs)
    return (bytes) => {
      const slab = new SharedArrayBuffer(bytes)
      slabs.push(slab)
      return slab
    }
  })
  const usedMs = longestOf(() => {
    const slabs = runs[0]!.values()
    for (const slab of runs[0]!) new Uint8Array(slab).fill(0)
    return () => slabs.next().value! // an arena grows as the one before
  })
  return { usedMs, newMs }
}

/** @param prepare Answers where the slabs of a run come from. */
function longestOf(prepare: () => (bytes: number) => SharedArrayBuffer): number {
  const best = new Float64Array(keys).fill(Number.POSITIVE_INFINITY)
  for (let run = 0; run < longestInsertRuns; run++) {
    const arena = openArena(new OwnSlabs({ make: prepare() }))
    for (let i = 0; i < keys; i++) {
      const name = keyOf(i)
      const startMs = performance.now()
      arena.set(name, value)
      arena.commit()
      best[i] = Math.min(best[i]!, performance.now() - startMs)
    }
  }
  return best.reduce((longest, ms) => Math.max(longest, ms), 0)
}
