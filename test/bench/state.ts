/**
 * State: a get and a set in the arena that keeps a function's state, beside a Map that does the same.
 *
 * Two processes, one with a tenth of the keys of the other, each with both stores in one isolate. Keys are asked for in
 * random order, all over the store, so what is measured is mostly how often each misses the caches.
 * @module
 */
import { freemem } from 'node:os'
import { join } from 'node:path'
import { withHugePages } from '../../runner/process/huge-pages.ts'
import type { StateReport } from './load/state-main.ts'
import { BenchProcesses } from './stage/bench-processes.ts'
import type { Child } from './stage/child.ts'
import type { Benchmark, Sample } from './suite/benchmark.ts'

/** What a Map takes for an entry, and what V8 may take for it. */
const mapBytesPerKey = 600
const heapMibMax = 14_000

export const state: Benchmark = {
  name: 'state',
  measures:
    'microseconds of CPU for a committed get or set by random keys of 16 bytes, values of 64, at a million keys and at ' +
    'ten million (--records and a tenth of it)',
  measuresNot:
    'the limits of an isolate, making keys, other partitions in the caches, values of other sizes.',
  figures: {
    get: { title: 'get', unit: 'µs' },
    set: { title: 'set', unit: 'µs' },
    memory: { title: 'memory', unit: '× the bytes' },
    'get-10': { title: '10 × the keys: get', unit: 'µs' },
    'set-10': { title: 'set', unit: 'µs' },
    'memory-10': { title: 'memory', unit: '× the bytes', compared: false },
    insert: { title: 'longest insert, slabs used before', unit: 'ms', compared: false },
    'insert-new': { title: 'slabs of new memory', unit: 'ms', compared: false },
  },
  subject: 'Concord’s arena, with journal and commit',
  references: { map: 'Map<string, Uint8Array> in the same isolate' },
  recordsDefault: 10_000_000,
  async open({ records, references }) {
    const processes = new BenchProcesses()
    const withMap = (keys: number): boolean =>
      references.includes('map') && freemem() > 2 * mapBytesPerKey * keys
    const few = Math.ceil(records / 10)
    const large = { child: start(processes, records, withMap(records)), map: withMap(records) }
    await large.child.says()
    const small = { child: start(processes, few, withMap(few)), map: withMap(few) }
    await small.child.says()
    return {
      measure: async (side) => {
        const store = side === 'map' ? 'map' : 'arena'
        return sampleOf(await ask(small, store), await ask(large, store))
      },
      close: () => processes.close(),
    }
  },
}

interface Stores {
  readonly child: Child
  readonly map: boolean
}

function start(processes: BenchProcesses, keys: number, map: boolean): Child {
  const script = join(import.meta.dirname, 'load/state-main.ts')
  const flags = ['--expose-gc', `--max-old-space-size=${heapMibMax}`]
  const words = [...flags, script, String(keys), map ? 'arena,map' : 'arena']
  return processes.start('state', process.execPath, words, withHugePages(process.env, heapMibMax))
}

async function ask({ child, map }: Stores, store: 'arena' | 'map'): Promise<StateReport | undefined> {
  if (store === 'map' && !map) return undefined // there is not the memory for it
  child.tell({ store })
  return await child.says<StateReport>()
}

function sampleOf(small: StateReport | undefined, large: StateReport | undefined): Sample {
  return {
    values: {
      get: small?.getMicros,
      set: small?.setMicros,
      memory: small?.memoryRatio,
      'get-10': large?.getMicros,
      'set-10': large?.setMicros,
      'memory-10': large?.memoryRatio,
      insert: large?.longestInsert?.usedMs,
      'insert-new': large?.longestInsert?.newMs,
    },
  }
}
