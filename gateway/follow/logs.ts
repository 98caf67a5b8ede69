/**
 * Logs: the lines that functions write, kept by a JetStream stream, the last ones of each function.
 * @module
 */
import { setTimeout } from 'node:timers/promises'
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
const retryMs = 5000
/** Messages asked for at a time: what may wait in memory for a slow reader. */
const pullMessages = 500

/**
 * Makes streams of JetStream, or brings their settings up to date; tries until it is done or the signal comes.
 * @param make Answers whether all is as wanted: false if copies are missing, since a server is away.
 */
export async function untilMade(
  make: () => Promise<boolean>,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      if (await make()) return
    } catch (error) {
      if (!signal.aborted) onError(error)
    }
    await setTimeout(retryMs, undefined, { signal }).catch(() => undefined)
  }
}

/** Makes the stream of logs, or brings its settings up to date. */
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

/** Of a function that was removed, before another one of its name writes lines. @throws {Error} If they may still be there. */
export async function forgetLogs(nc: NatsConnection, namespace: string, functionName: string): Promise<void> {
  const manager = await jetstreamManager(nc, { timeout: requestTimeoutMs, checkAPI: false })
  await manager.streams.purge(streamName, { filter: subjects.logSubject(namespace, functionName) })
}

export interface LogQuery {
  readonly namespace: string
  readonly functionName: string
  /** Lines so far that are wanted, the last ones. */
  readonly tail: number
  /** Go on with new lines. */
  readonly follow: boolean
  readonly signal: AbortSignal
}

/**
 * Yields lines of JSON as they were written, in batches; the first, which is empty, when it is known how many there are.
 * What a slow reader has not taken is kept to `linesMax` lines.
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
