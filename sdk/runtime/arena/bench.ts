/**
 * Bench: an arena beside a `Map<string, Uint8Array>` that does the same, in one run.
 *
 *   node sdk/runtime/arena/bench.ts [millions of keys, default 1] [runs, default 5]
 *
 * Every operation is followed by its commit. *Random*: 16-byte keys, 64-byte values, each operation on another key.
 * *Hot*: 100,000 keys by Zipf's law, 8-byte values, get and set of the key in one transaction.
 * What it does not measure: an isolate's limits, the cost of making keys, other partitions in the caches.
 * @module
 */
import { cpus } from 'node:os'
import { latin1 } from '../latin1.ts'
import { type Arena, openArena } from './arena.ts'
import { OwnSlabs } from './slabs.ts'

const millions = Number(process.argv[2] ?? 1)
const runs = Number(process.argv[3] ?? 5)
const keys = Math.round(millions * 1_000_000)
const operations = 1_000_000
const keyBytes = 16
const valueBytes = 64

/** What both are measured by. */
interface Store {
  get(key: Uint8Array): Uint8Array | undefined
  set(key: Uint8Array, value: Uint8Array): void
  commit(): void
}

/** The reference keeps no journal. */
class MapStore implements Store {
  readonly #map = new Map<string, Uint8Array>()

  get(key: Uint8Array): Uint8Array | undefined {
    const value = this.#map.get(latin1(key))
    return value === undefined ? undefined : new Uint8Array(value)
  }

  set(key: Uint8Array, value: Uint8Array): void {
    this.#map.set(latin1(key), new Uint8Array(value))
  }

  commit(): void {}
}

let seed = 1
function random(): number {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

const key = new Uint8Array(keyBytes)
/** Makes key `number`: as records come, in one and the same view. */
function fillKey(number: number): void {
  for (let i = 0; i < keyBytes; i++) key[i] = (number >>> ((i & 3) * 8)) ^ (i * 37)
}

const value = new Uint8Array(valueBytes)
const small = new Uint8Array(8)

function fill(store: Store, count: number, bytes: Uint8Array): void {
  for (let i = 0; i < count; i++) {
    fillKey(i)
    bytes[0] = i
    store.set(key, bytes)
    store.commit()
  }
}

let sink = 0

const cases: Readonly<Record<string, (store: Store, numbers: Uint32Array) => void>> = {
  get(store, numbers) {
    for (let i = 0; i < numbers.length; i++) {
      fillKey(numbers[i]!)
      sink += store.get(key)![0]!
      store.commit()
    }
  },
  set(store, numbers) {
    for (let i = 0; i < numbers.length; i++) {
      fillKey(numbers[i]!)
      value[0] = i
      store.set(key, value)
      store.commit()
    }
  },
  'get and set': (store, numbers) => {
    for (let i = 0; i < numbers.length; i++) {
      fillKey(numbers[i]!)
      const found = store.get(key)!
      found[0]!++
      store.set(key, found)
      store.commit()
    }
  },
}

/** CPU time of all threads, garbage collection's too: waiting for a core that others have does not count. */
function nanoseconds(run: () => void, count: number): number {
  const start = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(start)
  return ((user + system) * 1000) / count
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!
}

function spread(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(0)}–${Math.max(...values).toFixed(0)}`
}

/** Runs a case on both by turns, and prints their medians. */
function compare(name: string, stores: readonly Store[], run: (store: Store) => void): void {
  const times: number[][] = stores.map(() => [])
  for (let i = 0; i <= runs; i++)
    stores.forEach((store, at) => {
      const time = nanoseconds(() => run(store), operations)
      if (i > 0) times[at]!.push(time) // the first is for warming up
    })
  const [arena, map] = times.map(median)
  console.log(
    `${name.padEnd(24)} arena ${arena!.toFixed(0).padStart(5)} ns (${spread(times[0]!)})` +
      (map === undefined
        ? ''
        : `   Map ${map.toFixed(0).padStart(5)} ns (${spread(times[1]!)})   ${(map / arena!).toFixed(1)} ×`),
  )
}

/**
 * What growing costs at its worst, in milliseconds: the longest of all inserts, each at its best of some runs, so that
 * it is not the length of somebody else's time slice or of a garbage collection.
 */
function longestInsert(count: number): number {
  const best = new Float64Array(count).fill(Number.POSITIVE_INFINITY)
  for (let run = 0; run < 4; run++) {
    const arena = openArena(new OwnSlabs())
    for (let i = 0; i < count; i++) {
      fillKey(i)
      const startMs = performance.now()
      arena.set(key, value)
      arena.commit()
      best[i] = Math.min(best[i]!, performance.now() - startMs)
    }
  }
  return best.reduce((longest, time) => Math.max(longest, time), 0)
}

function fillAndReport(name: string, arena: Arena, count: number, bytes: Uint8Array): void {
  const time = nanoseconds(() => fill(arena, count, bytes), count)
  console.log(
    `${name.padEnd(24)} arena ${time.toFixed(0).padStart(5)} ns; ${arena.entries} entries of ` +
      `${arena.bytes} bytes in ${arena.heldBytes}: ${(arena.heldBytes / arena.bytes).toFixed(2)} ×`,
  )
}

function numbersOf(pick: () => number): Uint32Array {
  return Uint32Array.from({ length: operations }, pick)
}

console.log(
  `${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}; ${runs} runs, medians (range)`,
)
console.log(`longest of ${keys} inserts: ${longestInsert(keys).toFixed(2)} ms`)
const hotKeys = 100_000
const hot = numbersOf(() => Math.floor(hotKeys ** random()) - 1)
const hotArena = openArena(new OwnSlabs())
const hotMap = new MapStore()
fill(hotArena, hotKeys, small)
fill(hotMap, hotKeys, small)
compare('hot get and set', [hotArena, hotMap], (store) => cases['get and set']!(store, hot))

const scattered = numbersOf(() => Math.floor(random() * keys))
const arena = openArena(new OwnSlabs())
fillAndReport(`insert ${millions} M`, arena, keys, value)
const stores: Store[] = [arena]
if (millions <= 2) {
  const map = new MapStore()
  fill(map, keys, value)
  stores.push(map)
}
for (const [name, run] of Object.entries(cases))
  compare(`${name}, ${millions} M keys`, stores, (store) => run(store, scattered))
if (sink < 0) console.log(sink)
