/**
 * The chain that most benchmarks measure: load → nats-server → what stands in the middle → nats-server → sink.
 * @module
 */
import type { Transport } from '../load/senders.ts'
import type { SinkOptions, SinkReport, Stretch } from '../load/sink-main.ts'
import type { Checks } from '../suite/benchmark.ts'
import type { Child } from './child.ts'
import { CpuMeter } from './cpu.ts'
import type { Place, Starter } from './place.ts'

export interface ChainOptions {
  readonly transport: Transport
  /** Starts the load; each says how many records it will send, and begins when it is told to. */
  readonly loads: (start: Starter, url: string) => readonly Child[]
  /** Starts what stands in the middle, and answers its processes. None: the load goes straight to the sink. */
  readonly middle: StartMiddle | undefined
  /** The stream that the sink reads. */
  readonly output?: string
  readonly numberedBy?: SinkOptions['numberedBy']
  /** Records at first that are told apart: they find cold code. */
  readonly coldRecords?: number
  /** Records whose latency does not count; undefined: none is measured. */
  readonly warmUpRecords?: number
  /** See the sink. */
  readonly versionAt?: number
  /** All has come, and every process is still there. */
  readonly beforeEnd?: (pids: Readonly<Record<Group, readonly number[]>>) => Promise<void>
}

type Group = 'function' | 'producers' | 'nats' | 'sink'

export type StartMiddle = (place: Place, start: Starter) => Promise<readonly number[]>

/** Microseconds a record, by process. */
export type ChainCpu = Readonly<Record<Group, number | undefined>>

export interface ChainReport {
  readonly planned: number
  readonly report: SinkReport
  readonly checks: Checks
  /** Of all records, or of those behind the cold ones. */
  readonly cpu: ChainCpu
  readonly cold?: Stretch & { readonly cpu: ChainCpu }
}

/** Runs it once, from nothing to the last record. */
export async function runChain(place: Place, options: ChainOptions): Promise<ChainReport> {
  const {
    transport,
    loads: startLoads,
    middle: startMiddle,
    coldRecords = 0,
    warmUpRecords,
    versionAt,
  } = options
  const { numberedBy = 'value' } = options
  const { url, pid } = place.nats
  return await place.scene(async (start) => {
    const loads = startLoads(start, url)
    const plans = await Promise.all(loads.map((load) => load.says<{ planned: number }>()))
    const planned = plans.reduce((sum, plan) => sum + plan.planned, 0)
    const stream = options.output ?? (startMiddle === undefined ? 'in' : 'out')
    const sinkOptions: SinkOptions = {
      ...{ url, transport, stream, numberedBy, planned },
      ...(coldRecords > 0 && { stretches: [coldRecords] }),
      ...(warmUpRecords === undefined ? {} : { warmUpRecords }),
      ...(versionAt === undefined ? {} : { versionAt }),
    }
    const sink = start.script('load/sink-main.ts', JSON.stringify(sinkOptions))
    await sink.says()
    const middle = (await startMiddle?.(place, start)) ?? []
    const producers = loads.map((load) => load.pid)
    const pids = { function: middle, producers, nats: [pid], sink: [sink.pid] }
    const meter = new CpuMeter(pids)
    for (const load of loads) load.tell('go')
    const toldOf = async <T extends Stretch>(): Promise<T & { readonly cpu: ChainCpu }> => {
      const told = await sink.says<T>()
      return { ...told, cpu: meter.perRecord(told.records) }
    }
    const cold = coldRecords > 0 ? await toldOf() : undefined
    const { cpu, ...report } = await toldOf<SinkReport>()
    const { lost, repeated, reordered } = report
    await options.beforeEnd?.(pids)
    const checks = { lost, repeated, reordered }
    return { planned, report, checks, cpu, ...(cold === undefined ? {} : { cold }) }
  })
}
