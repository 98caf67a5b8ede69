/**
 * Throughput: one keyed stateful instance in a real runner (watchdog, isolate), NATS in and out.
 *
 *     2 producer processes → nats-server → runner → nats-server → sink process
 *
 * Each run starts a fresh runner, sink and producers on one nats-server. The clock runs in the sink, from its first to
 * its last record; so the cold start of the isolate's code is measured, the start of the processes is not.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'esbuild'
import { type Bundles, openBundles } from '../../infra/bundles/index.ts'
import { connectBus, type NatsConnection, subjects } from '../../infra/bus/index.ts'
import type { Assignment, Heartbeat, StreamDescriptor, TaskReply } from '../../infra/control/messages.ts'
import { startNatsServer } from '../../infra/nats/index.ts'
import { manifestSchema } from '../../sdk/manifest.ts'
import { bareLoop } from './bare-loop.ts'
import { partitions } from './load/workload.ts'
import type { BenchResult } from './report.ts'

const here = new URL('.', import.meta.url).pathname
const functionFile = join(here, 'load/count-function.ts')
const producers = 2

export interface ThroughputOptions {
  readonly runs: number
  readonly records: number
}

interface Run {
  readonly recordsPerSecond: number
  readonly runnerMicros: number
  readonly lost: number
  readonly repeated: number
  readonly reordered: number
}

export async function throughput({ runs, records }: ThroughputOptions): Promise<BenchResult> {
  const dir = mkdtempSync(join(tmpdir(), 'concord-bench-'))
  const server = await startNatsServer({ dir, port: 0 })
  const nc = await connectBus({ url: server.url, name: 'bench' })
  try {
    const bundles = await openBundles(nc)
    const bundle = await bundleFunction(bundles)
    const results: Run[] = []
    const bare: number[] = []
    for (let run = 0; run < runs; run++) {
      bare.push(await bareLoop(records))
      results.push(await oneRun(nc, server.url, bundle, run + 1, records))
      process.stderr.write(
        `run ${run + 1} of ${runs}: ${Math.round(results[run]!.recordsPerSecond).toLocaleString('en-US')} records/s\n`,
      )
    }
    const bareMicros = bare.map((perSecond) => 1e6 / perSecond)
    return {
      name: 'throughput',
      main: {
        label: 'Concord, NATS in and out',
        unit: 'records/s',
        values: results.map((r) => r.recordsPerSecond),
      },
      references: { bare: { label: 'the same function in a bare loop', unit: 'records/s', values: bare } },
      others: [
        { label: 'runner CPU', unit: 'µs/record', values: results.map((r) => r.runnerMicros) },
        { label: 'bare loop CPU', unit: 'µs/record', values: bareMicros },
      ],
      checks: {
        lost: results.reduce((sum, r) => sum + r.lost, 0),
        repeated: results.reduce((sum, r) => sum + r.repeated, 0),
        reordered: results.reduce((sum, r) => sum + r.reordered, 0),
      },
      caveat:
        'Producers, nats-server, runner and sink share this machine: it measures the whole on few cores, not a runner with cores of its own. ' +
        'Records are made in advance; it does not measure making or parsing them, latency, or a network.',
    }
  } finally {
    await nc.close()
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

async function bundleFunction(bundles: Bundles): Promise<string> {
  const alias = { concord: join(here, '../../sdk/index.ts') }
  const built = await build({ entryPoints: [functionFile], bundle: true, format: 'esm', write: false, alias })
  return bundles.put(built.outputFiles[0]!.contents)
}

async function oneRun(
  nc: NatsConnection,
  url: string,
  bundleSha256: string,
  epoch: number,
  records: number,
): Promise<Run> {
  const taskId = `bench-${epoch}`
  const beats = new Beats(nc, taskId)
  const runner = startRunner(url, taskId)
  const loads = Array.from({ length: producers }, (_, i) =>
    start('load/producer-main.ts', url, String(i), String(records / producers)),
  )
  let sink: Lines | undefined
  try {
    const plans = await Promise.all(
      loads.map(async (load) => JSON.parse(await load.line()) as { records: number }),
    )
    const total = plans.reduce((sum, plan) => sum + plan.records, 0)
    sink = start('load/sink-main.ts', url, 'out', String(total))
    await sink.line()
    await beats.first()
    await assign(nc, assignmentOf(taskId, bundleSha256, epoch))
    const before = await beats.running()
    for (const load of loads) load.process.stdin!.write('go\n')
    const seen = JSON.parse(await sink.line()) as {
      received: number
      lost: number
      repeated: number
      reordered: number
      seconds: number
    }
    const after = await beats.next()
    const runnerMicros = ((after.cpuSeconds - before.cpuSeconds) / total) * 1e6
    return { ...seen, recordsPerSecond: total / seen.seconds, runnerMicros }
  } finally {
    beats.stop()
    for (const child of [runner, ...[sink, ...loads].flatMap((p) => p?.process ?? [])]) await end(child)
  }
}

function assignmentOf(taskId: string, bundleSha256: string, epoch: number): Assignment {
  const consumersOf = (stream: string): StreamDescriptor['consumers'] => [
    { name: stream === 'in' ? 'count' : 'sink', backPressure: 'block' },
  ]
  const streamOf = (name: string): StreamDescriptor => ({
    name,
    partitions,
    keyed: true,
    consumers: consumersOf(name),
  })
  return {
    schema: 1,
    taskId,
    generation: 1,
    function: 'count',
    version: 1,
    bundleSha256,
    manifest: manifestSchema.parse({
      name: 'count',
      istreams: { in: { grouping: 'groupBy' } },
      ostreams: ['out'],
      limits: { heapMib: 256, stateMib: 256 },
    }),
    instances: [
      { id: 'count-0', index: 0, epoch, partitions: { in: Array.from({ length: partitions }, (_, i) => i) } },
    ],
    streams: { in: streamOf('in'), out: streamOf('out') },
    groupings: { in: 'groupBy' },
  }
}

async function assign(nc: NatsConnection, assignment: Assignment): Promise<void> {
  const command = JSON.stringify({ kind: 'assign', leaderEpoch: 1, assignment })
  const reply = await nc.request(subjects.taskSubject('bench', assignment.taskId), command, { timeout: 5000 })
  const answer = reply.json<TaskReply>()
  if (!answer.ok) throw new Error(answer.message)
}

/** The heartbeats of one task. */
class Beats {
  readonly #waiting: ((beat: Heartbeat) => void)[] = []
  readonly stop: () => void

  constructor(nc: NatsConnection, taskId: string) {
    const subscription = nc.subscribe(subjects.heartbeatSubject('bench', taskId), {
      callback: (error, message) => {
        if (error === null) for (const resolve of this.#waiting.splice(0)) resolve(message.json<Heartbeat>())
      },
    })
    this.stop = () => subscription.unsubscribe()
  }

  next(): Promise<Heartbeat> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  first(): Promise<Heartbeat> {
    return this.next()
  }

  async running(): Promise<Heartbeat> {
    for (;;) {
      const beat = await this.next()
      if (beat.exit !== undefined) throw new Error(`The runner ended: ${beat.exit.message}`)
      if (beat.state === 'running') return beat
    }
  }
}

function startRunner(url: string, taskId: string): ChildProcess {
  const main = join(here, '../../runner/main.ts')
  const env = {
    PATH: process.env['PATH'],
    CONCORD_TASK_ID: taskId,
    CONCORD_NAMESPACE: 'bench',
    CONCORD_FUNCTION: 'count',
    CONCORD_NATS_URL: url,
    CONCORD_MEM_MIB: '2048',
  }
  return spawn(process.execPath, ['--no-node-snapshot', main], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

interface Lines {
  readonly process: ChildProcess
  line(): Promise<string>
}

function start(script: string, ...args: string[]): Lines {
  const child = spawn(process.execPath, [join(here, script), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  return {
    process: child,
    line: async () => {
      const next = await lines.next()
      if (next.done === true) throw new Error(`${script} ended early`)
      return next.value
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
