/**
 * Typed: windows, lists, timers and a time to live on the arena that keeps a function's state, beside Maps and a heap.
 *
 * One process, which makes a new store for each measurement.
 * @module
 */
import { join } from 'node:path'
import { withHugePages } from '../../runner/process/huge-pages.ts'
import type { TypedReport } from './load/typed-main.ts'
import { BenchProcesses } from './stage/bench-processes.ts'
import type { Benchmark } from './suite/benchmark.ts'

const heapMibMax = 4000

export const typed: Benchmark = {
  name: 'typed',
  measures:
    'microseconds of CPU for one committed use of windows, lists, timers and entries with a time to live, a million entries of ' +
    'each (--records), windows and lists of a tenth as many keys',
  measuresNot: 'the call of a callback, making keys, JSON of large items, several partitions, pauses.',
  figures: {
    sliding: { title: 'window of 10 s by 1 s: add, sum', unit: 'µs' },
    tumbling: { title: 'tumbling: add', unit: 'µs' },
    list: { title: 'list: push, shift', unit: 'µs' },
    'timer-set': { title: 'timer: set', unit: 'µs' },
    'timer-move': { title: 'delete, set', unit: 'µs' },
    'timer-take': { title: 'take', unit: 'µs' },
    lend: { title: 'time to live: insert', unit: 'µs' },
    expire: { title: 'expire', unit: 'µs' },
    keys: { title: 'keys: next', unit: 'µs' },
  },
  subject: 'Concord’s arena, with journal and commit',
  references: { map: 'Maps, and a heap of timers in an array, in the same isolate' },
  recordsDefault: 1_000_000,
  async open({ records }) {
    const processes = new BenchProcesses()
    const script = join(import.meta.dirname, 'load/typed-main.ts')
    const words = ['--expose-gc', `--max-old-space-size=${heapMibMax}`, script, String(records)]
    const child = processes.start('typed', process.execPath, words, withHugePages(process.env, heapMibMax))
    await child.says()
    return {
      measure: async (side) => {
        child.tell({ store: side === 'map' ? 'map' : 'arena' })
        const told = await child.says<TypedReport>()
        return {
          values: {
            sliding: told.slidingMicros,
            tumbling: told.tumblingMicros,
            list: told.listMicros,
            'timer-set': told.timerSetMicros,
            'timer-move': told.timerMoveMicros,
            'timer-take': told.timerTakeMicros,
            lend: told.lendMicros,
            expire: told.expireMicros,
            keys: told.keysMicros,
          },
        }
      },
      close: () => processes.close(),
    }
  },
}
