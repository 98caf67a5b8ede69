/**
 * A real runner task (watchdog, isolate) with one function in it, without scheduler and gateway: the benchmark gives it
 * its assignment.
 * @module
 */
import { join } from 'node:path'
import { openBundles } from '../../../infra/bundles/index.ts'
import { type NatsConnection, subjects } from '../../../infra/bus/index.ts'
import { claimState, ensureCheckpointStream } from '../../../infra/checkpoints/index.ts'
import type { Assignment, FunctionAssignment, TaskReply } from '../../../infra/control/messages/assignment.ts'
import type { Heartbeat } from '../../../infra/control/messages/heartbeat.ts'
import type { StreamDescriptor } from '../../../infra/control/messages/streams.ts'
import { bundleFile } from '../../../infra/programs.mjs'
import { type ManifestInput, manifestSchema } from '../../../sdk/manifest/manifest.ts'
import type { Child } from './child.ts'
import { deployedCode } from './deployed-code.ts'
import { memMib, type Place, type Starter } from './place.ts'

const root = join(import.meta.dirname, '../../..')
export const namespace = 'bench'

export interface BenchFunction {
  /** Path of its source, from the root of the checkout. */
  readonly file: string
  readonly manifest: ManifestInput
  /** Constants for its source. */
  readonly define?: Readonly<Record<string, string>>
  /** It has a `migrate`: its state is of a format of its own, and the one before is kept until it has taken over. */
  readonly migrates?: true
}

export interface RunnerOptions {
  readonly function: BenchFunction
  /** Streams that the function reads and writes. */
  readonly streams: readonly StreamDescriptor[]
  /** So many in a packed runner; absent: one in a runner of its own. */
  readonly instances?: number
}

export interface Runner {
  /** The processes: watchdog and runner. */
  readonly pids: readonly number[]
  /** The next report of itself. */
  beat(): Promise<Heartbeat>
  /** Lets another version take over in all instances, and answers the report in which it has, off trial. */
  swap(version: number, fn: BenchFunction): Promise<Heartbeat>
}

let tasks = 0

/** Answers when the instances run. */
export async function startRunner(place: Place, start: Starter, options: RunnerOptions): Promise<Runner> {
  const { nc, nats } = place
  const { manifest, file, define } = options.function
  const taskId = `bench-${++tasks}`
  const beats = beatsOf(nc, taskId)
  const child = start.command(
    `runner of ${manifest.name}`,
    process.execPath,
    [
      process.env['CONCORD_TRACE'] === undefined
        ? bundleFile('runner/main.ts')
        : join(root, 'runner/main.ts'),
    ], // traces hook into sources
    {
      PATH: process.env['PATH'],
      TMPDIR: process.env['TMPDIR'],
      NODE_OPTIONS: process.env['NODE_OPTIONS'],
      CONCORD_TRACE: process.env['CONCORD_TRACE'],
      CONCORD_TRACE_RECORDS: process.env['CONCORD_TRACE_RECORDS'],
      CONCORD_TASK_ID: taskId,
      CONCORD_NAMESPACE: namespace,
      CONCORD_FUNCTION: manifest.name,
      CONCORD_NATS_URL: nats.url,
      CONCORD_MEM_MIB: String(memMib),
      ...(options.instances === undefined ? {} : { CONCORD_PACKED: '1' }),
    },
  )
  const bundleSha256 = await bundle(nc, file, define)
  await unlessItEnds(child, beats())
  await assign(nc, assignmentOf(taskId, bundleSha256, options))
  const running = await unlessItEnds(child, firstRunning(beats))
  const beat = (): Promise<Heartbeat> => unlessItEnds(child, beats())
  const bundles = new Map([[JSON.stringify(define), bundleSha256]])
  let generation = 1
  const swap = async (version: number, { define: other, migrates }: BenchFunction): Promise<Heartbeat> => {
    const key = JSON.stringify(other)
    const sha256 = bundles.get(key) ?? (await bundle(nc, file, other))
    bundles.set(key, sha256)
    const assigned = (kept: number): Promise<void> => {
      const format = migrates ? { format: { own: version, kept } } : {}
      return assign(
        nc,
        assignmentOf(taskId, sha256, options, { version, generation: ++generation, ...format }),
      )
    }
    await assigned(version - 1)
    const swapped = await untilSwapped(beat, version)
    if (migrates) await assigned(version)
    return swapped
  }
  return { pids: [child.pid, running.pid], beat, swap }
}

async function untilSwapped(beat: () => Promise<Heartbeat>, wanted: number): Promise<Heartbeat> {
  for (;;) {
    const heard = await beat()
    const failed = heard.instances.find(({ swap }) => swap?.state === 'failed')
    if (failed !== undefined) throw new Error(`${failed.id} has not changed: ${failed.swap?.reason}`)
    if (heard.instances.every(({ version, swap }) => version === wanted && swap === undefined)) return heard
  }
}

async function bundle(
  nc: NatsConnection,
  file: string,
  define?: Readonly<Record<string, string>>,
): Promise<string> {
  const code = await deployedCode(join(root, file), define)
  await ensureCheckpointStream(nc) // a gateway does
  await claimState(nc, namespace, { id: 'bench' })
  const bundles = await openBundles(nc)
  return bundles.put(Buffer.from(code))
}

interface Assigned extends Pick<FunctionAssignment, 'version' | 'format'> {
  readonly generation: number
}

function assignmentOf(
  taskId: string,
  bundleSha256: string,
  { function: { manifest: given }, streams, instances: packed }: RunnerOptions,
  { version, generation, format }: Assigned = { version: 1, generation: 1 },
): Assignment {
  const manifest = manifestSchema.parse(given)
  const instances = packed ?? 1
  const inputs = streams.filter(({ name }) => name in manifest.istreams)
  const shareOf = (index: number, partitions: number): number[] =>
    Array.from({ length: partitions }, (_, p) => p).filter((p) => p % instances === index)
  return {
    schema: 3,
    taskId,
    generation,
    packed: packed !== undefined,
    functions: {
      [manifest.name]: {
        function: manifest.name,
        version,
        bundleSha256,
        manifest,
        ...(version === 1 ? {} : { trial: manifest.trial }),
        ...(format === undefined ? {} : { format }),
        streams: Object.fromEntries(streams.map((stream) => [stream.name, stream])),
        groupings: Object.fromEntries(inputs.map(({ name }) => [name, 'groupBy'])),
      },
    },
    instances: Array.from({ length: instances }, (_, index) => ({
      id: `${manifest.name}-${index}`,
      function: manifest.name,
      index,
      epoch: Number(taskId.split('-').at(-1)),
      partitions: Object.fromEntries(inputs.map((input) => [input.name, shareOf(index, input.partitions)])),
    })),
  }
}

async function assign(nc: NatsConnection, assignment: Assignment): Promise<void> {
  const command = JSON.stringify({ kind: 'assign', leaderEpoch: 1, assignment })
  const subject = subjects.taskSubject(namespace, assignment.taskId)
  const answer = (await nc.request(subject, command, { timeout: 5000 })).json<TaskReply>()
  if (!answer.ok) throw new Error(answer.message)
}

/** The heartbeats of a task, one at a call. */
function beatsOf(nc: NatsConnection, taskId: string): () => Promise<Heartbeat> {
  const waiting: ((beat: Heartbeat) => void)[] = []
  nc.subscribe(subjects.heartbeatSubject(namespace, taskId), {
    callback: (error, message) => {
      if (error === null) for (const resolve of waiting.splice(0)) resolve(message.json<Heartbeat>())
    },
  })
  return () => new Promise((resolve) => waiting.push(resolve))
}

async function firstRunning(beats: () => Promise<Heartbeat>): Promise<Heartbeat> {
  for (;;) {
    const beat = await beats()
    if (beat.exit !== undefined) throw new Error(`The runner ended: ${beat.exit.message}`)
    if (beat.state === 'running') return beat
  }
}

function unlessItEnds<T>(child: Child, promise: Promise<T>): Promise<T> {
  return Promise.race([promise, child.endsEarly()])
}

/** A stream of the benchmarks: keyed, read by these, who hold it back. */
export function streamOf(name: string, partitions: number, consumers: readonly string[]): StreamDescriptor {
  return {
    name,
    partitions,
    keyed: true,
    consumers: consumers.map((consumer) => ({ name: consumer, backPressure: 'block' })),
  }
}
