/**
 * Turns: two kinds of load take turns within one run of the chain load → nats-server → function → nats-server → sink, so that what
 * differs from run to run, such as what V8 has compiled, is the same for both.
 *
 *   TU1. A run is `plain`, other, `plain`, …, `plain`, and each other turn is compared with those around it: what drifts during a run does
 *        so for both. Each kind has had a turn before the first one that counts.
 *   TU2. Of a turn the first part does not count: until its records have passed through the chain, and what the last one left is done.
 * @module
 */
import type { SinkOptions, SinkReport, Stretch } from '../load/sink-main.ts'
import type { Turn } from '../load/turns-main.ts'
import { poisonEvery } from '../load/workload.ts'
import type { Checks } from '../suite/benchmark.ts'
import type { Place, Starter } from './place.ts'
import { threadMicros } from './threads.ts'

const producers = 2
/** About a second: short beside what changes on a machine, and eight times what is on its way. */
const turnRecords = 1_000_000
/** Of a run and of a turn, what does not count. */
const [coldShare, leadShare] = [1 / 5, 3 / 10]

const parts = ['isolate', 'main', 'helpers', 'nats', 'load'] as const
export type Part = (typeof parts)[number]

export interface Turns {
  readonly records: number
  /** Whose input is the stream `in`. */
  readonly consumer: string
  /** Its processes, the runner's last. */
  readonly middle: (start: Starter) => Promise<readonly number[]>
  /** What the load does in every other turn. */
  readonly other: Turn
}

export interface TurnReport {
  readonly recordsPerSecond: number
  /** Microseconds of CPU a record, by part. */
  readonly cpu: Readonly<Record<Part, number>>
}

/** A turn of the other kind, and the plain ones before and behind it. */
export interface Comparison {
  readonly other: TurnReport
  readonly around: readonly [TurnReport, TurnReport]
}

export async function runTurns(
  place: Place,
  { records, consumer, middle, other }: Turns,
): Promise<{ readonly comparisons: readonly Comparison[]; readonly checks: Checks }> {
  const { url, pid: natsPid } = place.nats
  return await place.scene(async (start) => {
    const words = (index: number): string[] => [
      url,
      'in',
      consumer,
      String(index),
      String(records / producers),
    ]
    const loads = Array.from({ length: producers }, (_, i) => start.script('load/turns-main.ts', ...words(i)))
    await Promise.all(loads.map((load) => load.says()))
    const turns = turnsOf(records)
    const stretches = turns.flatMap(({ lead, counted }) => [lead, counted])
    const sinkOptions: SinkOptions = {
      url,
      transport: 'channel',
      stream: 'out',
      numberedBy: 'value',
      stretches,
    }
    const sink = start.script('load/sink-main.ts', JSON.stringify(sinkOptions))
    await sink.says()
    const middlePids = await middle(start)
    const runner = middlePids.at(-1)!
    const pids = [...middlePids, natsPid, sink.pid, ...loads.map((load) => load.pid)]
    const cpuNow = (): Map<Part, number> =>
      threadMicros(pids, ({ pid, id, name }) => {
        if (pid === natsPid) return 'nats'
        if (!middlePids.includes(pid)) return 'load'
        if (pid === runner && name === 'MainThread') return id === pid ? 'main' : 'isolate'
        return 'helpers'
      })
    const reports: TurnReport[] = []
    for (const [index, { isCold }] of turns.entries()) {
      const kind = index % 2 === 0 ? 'plain' : other
      for (const load of loads) load.tell(kind)
      await sink.says<Stretch>()
      const before = cpuNow()
      const stretch = await sink.says<Stretch>()
      const after = cpuNow()
      if (isCold) continue
      const records = stretch.records / (kind === 'poison' ? 1 - 1 / poisonEvery : 1)
      const cpuOf = (part: Part): number => ((after.get(part) ?? 0) - (before.get(part) ?? 0)) / records
      const cpu = Object.fromEntries(parts.map((part) => [part, cpuOf(part)])) as Record<Part, number>
      reports.push({ recordsPerSecond: records / stretch.seconds, cpu })
    }
    for (const load of loads) load.tell('stop')
    const sent = await Promise.all(loads.map((load) => load.says<{ numbered: number }>()))
    sink.tell({ planned: sent.reduce((sum, { numbered }) => sum + numbered, 0) })
    const { lost, repeated, reordered } = await sink.says<SinkReport>()
    const comparisons = reports.flatMap((report, i): Comparison[] =>
      i % 2 === 0 ? [] : [{ other: report, around: [reports[i - 1]!, reports[i + 1]!] }],
    )
    return { comparisons, checks: { lost, repeated, reordered } }
  })
}

/** TU1. */
function turnsOf(records: number): { lead: number; counted: number; isCold: boolean }[] {
  const pairs = Math.max(1, Math.floor((records * (1 - coldShare)) / turnRecords / 2))
  const cold = turnOf((records * coldShare) / 2, true)
  const warm = turnOf((records * (1 - coldShare)) / (2 * pairs + 1), false)
  return [cold, cold, ...new Array<typeof warm>(2 * pairs + 1).fill(warm)]
}

function turnOf(records: number, isCold: boolean) {
  const lead = Math.ceil(records * leadShare)
  return { lead, counted: Math.ceil(records - lead), isCold }
}
