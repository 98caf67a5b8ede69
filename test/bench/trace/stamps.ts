/**
 * Stamps: what a process of the chain notes of each frame, and of what stops it, when it is started with this file (`--import`) for a
 * trace. It wraps methods of the classes that frames go through, so nothing of a trace is in the product.
 *
 *   ST1. A stamp makes no object: what grows old would be collected, and be most of what the trace then finds.
 *   ST2. Writing them takes milliseconds, not seconds: the watchdog ends a runner that seems frozen.
 *
 * A signal (SIGUSR2) has it written to CONCORD_TRACE/PID.trace, as `readTrace` reads it.
 * @module
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { PerformanceObserver } from 'node:perf_hooks'
import { deserialize, serialize } from 'node:v8'
import { headerBytesV1, recordHeaderBytes } from '../../../sdk/wire/frame.ts'
import { monotonicUs } from '../load/monotonic.ts'
import { dueAt, keyBytes, recordStride } from '../load/workload.ts'

/** A process of the chain. */
export type Role = 'load' | 'runner' | 'sink'

/** From `us` on something took so long. */
export type Pause = readonly [what: string, us: number, tookUs: number]

export interface Trace {
  readonly role: Role
  /** By stage, four numbers a stamp: the partition, the first record, how many, and when they were there (microseconds). */
  readonly stamps: Readonly<Record<string, ArrayLike<number>>>
  readonly pauses: readonly Pause[]
}

const roles: Readonly<Record<string, Role>> = {
  'paced-main.ts': 'load',
  'host-main.ts': 'runner',
  'sink-main.ts': 'sink',
}
const gcKinds: Readonly<Record<number, string>> = {
  1: 'scavenge',
  4: 'full collection',
  8: 'part of a collection',
}

const folder = process.env['CONCORD_TRACE']
const role = roles[basename(process.argv[1] ?? '')]

class StampLog {
  readonly #numbers: Float64Array
  #used = 0

  constructor(stampsMax: number) {
    this.#numbers = new Float64Array(4 * stampsMax).fill(-1) // so that its pages are there
  }

  add(partition: number, first: number, count: number, us: number): void {
    const numbers = this.#numbers
    const at = this.#used
    numbers[at] = partition
    numbers[at + 1] = first
    numbers[at + 2] = count
    numbers[at + 3] = us
    this.#used = at + 4
  }

  get numbers(): Float64Array {
    if (this.#used > this.#numbers.length)
      throw new RangeError('There were more stamps than there is room for')
    return this.#numbers.slice(0, this.#used)
  }
}

export function readTrace(file: string): Trace {
  return deserialize(readFileSync(file)) as Trace
}

async function trace(dir: string, role: Role): Promise<void> {
  const records = Number(process.env['CONCORD_TRACE_RECORDS'])
  const logs: Record<string, StampLog> = {}
  const pauses: Pause[] = []
  const logOf = (stage: string): StampLog => (logs[stage] = new StampLog(records))
  const [{ Producer }, { InQueue }] = await Promise.all([
    import('../../../infra/bus/sending/producer.ts'),
    import('../../../infra/bus/receiving/in-queue.ts'),
  ])
  if (role !== 'sink') {
    const log = logOf(role === 'load' ? 'sent' : 'published')
    const next = new Array<number>(256).fill(0)
    const { send } = Producer.prototype
    Producer.prototype.send = function (stream, partition, frame, count) {
      log.add(partition, next[partition]!, count, nowUs())
      next[partition]! += count
      send.call(this, stream, partition, frame, count)
    }
  }
  if (role !== 'load') {
    const log = logOf(role === 'runner' ? 'came' : 'arrived')
    const { add } = InQueue.prototype
    InQueue.prototype.add = function (frame) {
      log.add(frame.partition, frame.header.sequence, frame.header.count, nowUs())
      add.call(this, frame)
    }
  }
  if (role === 'sink') {
    const [seen, due] = [logOf('seen'), logOf('due')]
    const { take } = InQueue.prototype
    InQueue.prototype.take = function (bytesMax) {
      const frames = take.call(this, bytesMax)
      const us = nowUs()
      for (const { partition, header, bytes } of frames) {
        seen.add(partition, header.sequence, header.count, us)
        const view = new DataView(bytes.buffer, bytes.byteOffset)
        for (let i = 0; i < header.count; i++) {
          const at = headerBytesV1 + i * recordStride + recordHeaderBytes + keyBytes + dueAt
          due.add(partition, header.sequence + i, 1, view.getFloat64(at, true))
        }
      }
      return frames
    }
  }
  if (role === 'runner') await traceRunner(logOf, pauses)

  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as unknown as { readonly detail: { readonly kind: number } }).detail // @types/node lacks it
      pauses.push([gcKinds[kind] ?? 'collection', originUs + entry.startTime * 1000, entry.duration * 1000])
    }
  }).observe({ entryTypes: ['gc'] })

  process.on('SIGUSR2', () => {
    const file = join(dir, `${process.pid}.trace`)
    const stamps = Object.fromEntries(Object.entries(logs).map(([stage, log]) => [stage, log.numbers]))
    writeFileSync(`${file}.part`, serialize({ role, stamps, pauses } satisfies Trace))
    renameSync(`${file}.part`, file)
  })
}

async function traceRunner(logOf: (stage: string) => StampLog, pauses: Pause[]): Promise<void> {
  const [{ SingleIsolate }, { StateKeeper }, { Worker }] = await Promise.all([
    import('../../../runner/isolate/single-isolate.ts'),
    import('../../../runner/checkpoint/state-keeper.ts'),
    import('../../../runner/instance/worker.ts'),
  ])
  const [begun, done] = [logOf('begun'), logOf('done')]
  const { run } = SingleIsolate.prototype
  SingleIsolate.prototype.run = async function (...args) {
    const us = nowUs()
    const result = await run.apply(this, args)
    const doneUs = nowUs()
    for (const { partition, header, skip } of args[0]) {
      const [first, count] = [header.sequence + skip, header.count - skip]
      begun.add(partition, first, count, us)
      done.add(partition, first, count, doneUs)
    }
    return result
  }
  const { cut } = StateKeeper.prototype
  StateKeeper.prototype.cut = async function (...args) {
    const us = nowUs()
    await cut.apply(this, args)
    pauses.push(['checkpoint', us, nowUs() - us])
  }
  const { report } = Worker.prototype
  Worker.prototype.report = function () {
    const us = nowUs()
    const answer = report.call(this)
    pauses.push(['report', us, nowUs() - us])
    return answer
  }
}

/** The clock of the machine, without an object for each look at it. */
function nowUs(): number {
  return originUs + performance.now() * 1000
}

/** The most of many: a look that was held up makes it less. */
const originUs = Array.from({ length: 1000 }, () => monotonicUs() - performance.now() * 1000).reduce((a, b) =>
  Math.max(a, b),
)

if (folder !== undefined && role !== undefined) await trace(folder, role)
