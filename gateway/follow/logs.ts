/**
 * Logs: the last lines that each function has logged, in a JetStream stream.
 * @module
 */
import {
  DeliverPolicy,
  DiscardPolicy,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream'
import { type NatsConnection, subjects } from '../../infra/bus/index.ts'
import { ensureStream, type Replicas } from '../../infra/streams.ts'
import type { LogLine } from '../../sdk/api/index.ts'
import { refuse } from '../errors.ts'
import { Wake } from './wake.ts'

const streamName = 'concord-logs'
const linesMax = 10_000
const dayNs = 24 * 3600 * 1_000_000_000
const requestTimeoutMs = 5000
/** Messages requested at a time: this many may wait in memory for a slow reader. */
const pullMessages = 500

/** Creates the stream of logs, or updates its settings. */
export async function ensureLogs(nc: NatsConnection, replicas?: Replicas): Promise<boolean> {
  const config = {
    name: streamName,
    subjects: [subjects.logSubject('*', '*')],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    max_msgs_per_subject: linesMax,
    max_age: dayNs,
  }
  return await ensureStream(nc, config, replicas)
}

/**
 * Deletes the lines of a removed function, before a new function of that name writes any.
 * @throws {Error} If lines may be left.
 */
export async function forgetLogs(nc: NatsConnection, namespace: string, functionName: string): Promise<void> {
  const manager = await jetstreamManager(nc, { timeout: requestTimeoutMs, checkAPI: false })
  await manager.streams.purge(streamName, { filter: subjects.logSubject(namespace, functionName) })
}

export interface LogQuery {
  readonly namespace: string
  readonly functionName: string
  /** How many of the latest lines to return. */
  readonly tail: number
  /** Continue with new lines. */
  readonly follow: boolean
  readonly signal: AbortSignal
}

/**
 * Yields log lines as JSON, in batches. The first batch is empty and comes once the number of lines is known. At most
 * `linesMax` lines wait for a slow reader.
 */
export async function* readLogs(
  nc: NatsConnection,
  query: LogQuery,
): AsyncGenerator<readonly string[], void> {
  const { namespace, functionName, tail, follow, signal } = query
  const consumer = await jetstream(nc, { timeout: requestTimeoutMs, checkAPI: false })
    .consumers.get(streamName, {
      filter_subjects: subjects.logSubject(namespace, functionName),
      deliver_policy: DeliverPolicy.All,
    })
    .catch((error: Error) => {
      const text = `Cannot read the logs of '${functionName}': ${error.message}. Try again in a moment.`
      throw refuse('ERR_BACKEND', text)
    })
  let left = (await consumer.info()).num_pending
  if (left === 0 && !follow) return
  let skip = Math.max(0, left - tail)
  let lines: string[] = []
  const wake = new Wake()
  const messages = await consumer.consume({
    max_messages: pullMessages,
    callback: (message) => {
      left -= 1
      if (skip > 0) skip -= 1
      else lines.push(`${message.string()}\n`)
      if (lines.length > 2 * linesMax) lines = [droppedLine(functionName, linesMax), ...lines.slice(linesMax)]
      wake.call()
    },
  })
  try {
    yield []
    while (!signal.aborted) {
      if (lines.length > 0) yield lines.splice(0)
      else if (left <= 0 && !follow) return
      else await wake.sleep(signal)
    }
  } finally {
    messages.stop()
  }
}

function droppedLine(functionName: string, lines: number): string {
  const message = `${lines} lines are missing here: this reader was too slow for them`
  return `${JSON.stringify({ timeMs: Date.now(), level: 'warn', function: functionName, version: 0, instance: '', message } satisfies LogLine)}\n`
}
