/**
 * The process of `typed`: `node --expose-gc typed-main.ts ENTRIES`. Answers each line `{"store"}` of its input with what an
 * operation costs on a new store with so many entries: windows and lists of a tenth as many keys, so that each has ten.
 * @module
 */
import { createInterface } from 'node:readline'
import { scattered } from './stores.ts'
import { ArenaTypedStore, MapTypedStore, sliding, type TypedStore, tumbling } from './typed-stores.ts'

/** CPU microseconds of an operation, of all threads, garbage collection's too. */
export interface TypedReport {
  readonly tumblingMicros: number
  readonly slidingMicros: number
  readonly listMicros: number
  readonly timerSetMicros: number
  readonly timerMoveMicros: number
  readonly timerTakeMicros: number
  readonly lendMicros: number
  readonly keysMicros: number
  readonly expireMicros: number
}

const entries = Number(process.argv[2])
const keys = Math.ceil(entries / 10)
const buckets = 10
const names = Array.from({ length: entries }, (_, i) => `key ${String(i).padStart(12, '0')}`)
/** Another one for each use: an order of access that repeats would have its memory at hand. */
const orders = [0, 1, 2].map((i) => scattered(entries * (i + 1), entries).map((number) => number % entries))
const value = new Uint8Array(8)
const soonMs = 1_000_000
let seen = 0

console.log(JSON.stringify({ ready: true }))
for await (const line of createInterface({ input: process.stdin })) {
  const { store } = JSON.parse(line) as { store: string }
  const made = store === 'arena' ? () => new ArenaTypedStore() : () => new MapTypedStore()
  const report: TypedReport = { ...windows(made()), ...lists(made()), ...timers(made()), ...lent(made()) }
  console.log(JSON.stringify(report))
}
process.exit(seen < 0 ? 1 : 0) // so that nothing which was read can be optimised away

function windows(store: TypedStore): Pick<TypedReport, 'tumblingMicros' | 'slidingMicros'> {
  for (let bucket = 0; bucket < buckets; bucket++)
    for (let key = 0; key < keys; key++) done(store, () => store.add(names[key]!, sliding, bucket * 1000))
  const slidingMicros = microsOf((i) =>
    done(store, () => {
      const name = names[orders[0]![i]! % keys]!
      store.add(name, sliding, 9000)
      seen += store.sum(name, sliding, 0)
    }),
  )
  const tumblingMicros = microsOf((i) =>
    done(store, () => store.add(names[orders[1]![i]! % keys]!, tumbling, 0)),
  )
  return { slidingMicros, tumblingMicros }
}

function lists(store: TypedStore): Pick<TypedReport, 'listMicros'> {
  for (let item = 0; item < buckets; item++)
    for (let key = 0; key < keys; key++) done(store, () => store.push(names[key]!, item))
  const listMicros = microsOf((i) =>
    done(store, () => {
      const name = names[orders[0]![i]! % keys]!
      store.push(name, i)
      seen += store.shift(name)!
    }),
  )
  return { listMicros }
}

function timers(
  store: TypedStore,
): Pick<TypedReport, 'timerSetMicros' | 'timerMoveMicros' | 'timerTakeMicros'> {
  const timesMs = Float64Array.from(orders[0]!, (number) => number + 1)
  const timerSetMicros = microsOf((i) => done(store, () => store.setTimer(names[i]!, timesMs[i]!)))
  const timerMoveMicros = microsOf((i) =>
    done(store, () => {
      const key = orders[1]![i]!
      store.deleteTimer(names[key]!, timesMs[key]!)
      timesMs[key] = orders[2]![i]! + 1
      store.setTimer(names[key]!, timesMs[key]!)
    }),
  )
  const timerTakeMicros = microsOf(() => done(store, () => (seen += store.takeTimer(soonMs * 1000)!.length)))
  return { timerSetMicros, timerMoveMicros, timerTakeMicros }
}

function lent(store: TypedStore): Pick<TypedReport, 'lendMicros' | 'keysMicros' | 'expireMicros'> {
  const lendMicros = microsOf((i) => done(store, () => store.lend(names[i]!, value, soonMs)))
  const keysMicros = microsOfAll(() => (seen += store.count()))
  const expireMicros = microsOfAll(() => {
    if (store.expire(soonMs) !== entries) throw new Error('Cannot expire all of it')
  })
  return { lendMicros, keysMicros, expireMicros }
}

function done(store: TypedStore, act: () => unknown): void {
  act()
  store.commit()
}

function microsOf(act: (i: number) => void): number {
  return microsOfAll(() => {
    for (let i = 0; i < entries; i++) act(i)
  })
}

function microsOfAll(run: () => void): number {
  globalThis.gc!()
  const before = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / entries
}
