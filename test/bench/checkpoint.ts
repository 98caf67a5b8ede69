/**
 * Checkpoint: for how long a checkpoint of all of a large state stops who writes it, and what it costs beside.
 *
 * One process, with the writer and the host's end of a checkpoint by turns, so that each can be measured alone: the cut;
 * batches of a thousand sets by random keys, most of which find a page that has to be kept first; and the same batches
 * with no checkpoint under way.
 * @module
 */
import { join } from 'node:path'
import type { CheckpointSample } from './load/checkpoint-main.ts'
import { BenchProcesses } from './stage/bench-processes.ts'
import type { Benchmark } from './suite/benchmark.ts'

export const checkpoint: Benchmark = {
  name: 'checkpoint',
  measures:
    'the pause by a checkpoint of all state (a gigabyte; --records are its keys), and a set while it is made',
  measuresNot: 'sending it to nats-server, the isolate, small states, states of which little has changed.',
  figures: {
    pause: { title: 'pause', unit: 'ms', compared: false },
    set: { title: 'set', unit: 'µs' },
    state: { title: 'state', unit: 'MB', compared: false },
  },
  subject: 'a checkpoint under way',
  references: { quiet: 'the same sets without one' },
  recordsDefault: 9_500_000,
  async open({ records }) {
    const processes = new BenchProcesses()
    const script = join(import.meta.dirname, 'load/checkpoint-main.ts')
    const child = processes.start('checkpoint', process.execPath, [script, String(records)])
    await child.says()
    return {
      measure: async (side) => {
        child.tell({ checkpoint: side !== 'quiet' })
        const { cutMs, setMicros, stateBytes } = await child.says<CheckpointSample>()
        return { values: { pause: cutMs, set: setMicros, state: stateBytes / 1e6 } }
      },
      close: () => processes.close(),
    }
  },
}
