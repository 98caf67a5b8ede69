/**
 * Stages: how long records were at each stage of their way, the median ones and the slowest, and what went on meanwhile.
 * @module
 */
import { partitions } from '../load/workload.ts'
import type { Pause, Role, Trace } from './stamps.ts'

/** From the stage before to this one a record was … */
const stages = ['due', 'sent', 'came', 'begun', 'done', 'published', 'arrived', 'seen'] as const
type Stage = (typeof stages)[number]
const titles: Readonly<Record<Stage, string>> = {
  due: '',
  sent: 'late sent',
  came: 'to the runner',
  begun: 'waits for a batch',
  done: 'isolate',
  published: 'till published',
  arrived: 'to the sink',
  seen: 'in the sink',
}
/** Slow records that are so close are one cluster. */
const clusterGapUs = 5_000
const pauseUsTold = 300

interface Way {
  /** By stage. */
  readonly us: readonly number[]
  readonly latencyUs: number
}

export interface Stages {
  readonly rows: readonly { readonly title: string; readonly ms: readonly number[] }[]
  readonly clusters: readonly string[]
  readonly pauses: readonly string[]
}

/** @param toSkip Records that are for warming up. */
export function stagesOf(traces: readonly Trace[], toSkip: number): Stages {
  const ways = waysOf(traces)
    .toSorted((a, b) => a.us[0]! - b.us[0]!)
    .slice(toSkip)
  const bySpeed = ways.toSorted((a, b) => a.latencyUs - b.latencyUs)
  const part = (from: number, to: number): Way[] =>
    bySpeed.slice(Math.floor(from * bySpeed.length), Math.ceil(to * bySpeed.length))
  const pauses = traces.flatMap(({ role, pauses }) => pauses.map((pause) => ({ role, pause })))
  const sinceUs = ways[0]?.us[0] ?? 0
  const untilUs = ways.at(-1)?.us[0] ?? 0
  const within = pauses.filter(({ pause: [, us] }) => us >= sinceUs && us <= untilUs)
  return {
    rows: [
      { title: 'median tenth', ms: meansOf(part(0.45, 0.55)) },
      { title: '98th to 99th', ms: meansOf(part(0.98, 0.99)) },
      { title: 'slowest 1 %', ms: meansOf(part(0.99, 1)) },
      { title: 'slowest 0.1 %', ms: meansOf(part(0.999, 1)) },
    ],
    clusters: clustersOf(part(0.99, 1), within, sinceUs),
    pauses: sumsOf(within),
  }
}

export function tableOf({ rows, clusters, pauses }: Stages): string {
  const head = ['', ...stages.slice(1).map((stage) => titles[stage]), 'all']
  const lines = rows.map(({ title, ms }) => [title, ...ms.map((value) => value.toFixed(2))])
  return [
    `| ${head.join(' | ')} |`,
    `|${' --- |'.repeat(head.length)}`,
    ...lines.map((line) => `| ${line.join(' | ')} |`),
    '',
    ...clusters,
    '',
    ...pauses,
    '',
  ].join('\n')
}

/** Of each record, when it was at each stage. */
function waysOf(traces: readonly Trace[]): Way[] {
  const stamps = Object.assign({}, ...traces.map((trace) => trace.stamps)) as Trace['stamps']
  const counts = new Array<number>(partitions).fill(0)
  for (const [partition, first, count] of stampsIn(stamps['seen']))
    counts[partition] = Math.max(counts[partition]!, first + count)
  const times = counts.map((count) => stages.map(() => new Float64Array(count)))
  for (const [index, stage] of stages.entries())
    for (const [partition, first, count, us] of stampsIn(stamps[stage]))
      times[partition]![index]!.fill(us, first, first + count)
  return times.flatMap((byStage, partition) =>
    Array.from({ length: counts[partition]! }, (_, number) => {
      const us = byStage.map((all) => all[number]!)
      return { us, latencyUs: us.at(-1)! - us[0]! }
    }),
  )
}

function* stampsIn(numbers: ArrayLike<number> = []) {
  for (let at = 0; at < numbers.length; at += 4)
    yield [numbers[at]!, numbers[at + 1]!, numbers[at + 2]!, numbers[at + 3]!] as const
}

/** Milliseconds of each stage, then of all. */
function meansOf(ways: readonly Way[]): number[] {
  const sums = stages.map(() => 0)
  for (const { us, latencyUs } of ways) {
    for (let i = 1; i < us.length; i++) sums[i - 1]! += us[i]! - us[i - 1]!
    sums[stages.length - 1]! += latencyUs
  }
  return sums.map((sum) => sum / ways.length / 1000)
}

interface Told {
  readonly role: Role
  readonly pause: Pause
}

/** Slow records that came together, with what paused meanwhile, a line each. */
function clustersOf(slow: readonly Way[], pauses: readonly Told[], sinceUs: number): string[] {
  const clusters: { from: number; to: number; ways: Way[] }[] = []
  for (const way of slow.toSorted((a, b) => a.us[0]! - b.us[0]!)) {
    const [from, to] = [way.us[0]!, way.us.at(-1)!]
    const last = clusters.at(-1)
    if (last === undefined || from - last.to > clusterGapUs) clusters.push({ from, to, ways: [way] })
    else {
      last.ways.push(way)
      last.to = Math.max(last.to, to)
    }
  }
  return clusters.map(({ from, to, ways }) => {
    const means = meansOf(ways)
    const most = Math.max(...means.slice(0, -1))
    const stage = titles[stages[means.indexOf(most) + 1]!]
    const told = pauses
      .filter(({ pause: [, us, took] }) => took >= pauseUsTold && us < to && us + took > from)
      .map(({ role, pause: [what, us, took] }) => `${role}: ${what} ${ms(took)} at ${ms(us - from)}`)
    const slowest = Math.max(...ways.map(({ latencyUs }) => latencyUs))
    return (
      `${ms(from - sinceUs)} ms: ${ways.length} records, ${ms(to - from)} ms, slowest ${ms(slowest)}; ` +
      `most of it '${stage}' (${most.toFixed(1)} of ${means.at(-1)!.toFixed(1)}); ${told.join(', ') || 'no pause'}`
    )
  })
}

function sumsOf(pauses: readonly Told[]): string[] {
  const sums = Map.groupBy(pauses, ({ role, pause: [what] }) => `${role}: ${what}`)
  return [...sums].map(([name, all]) => {
    const took = all.map(({ pause }) => pause[2])
    return `${name}: ${all.length}, ${ms(took.reduce((sum, one) => sum + one, 0))} ms in all, longest ${ms(Math.max(...took))}`
  })
}

function ms(us: number): string {
  return (us / 1000).toFixed(1)
}
