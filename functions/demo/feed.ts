/**
 * Feed: produces the lines of a source to the stream `lines`.
 *
 *   F1. One small request at a time, each with an answer of its own: at any time it is known how much was accepted.
 *   F2. Each record carries the time at which it was first offered, so that waiting for room counts as latency.
 *   F3. A line is keyed by its client, so that the lines of one client stay in order.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type ClientRecord, type ConcordClient, ProduceError } from 'concord/client'
import type { Source } from './source.ts'

const batchLines = 500
/** With `rate`: the number of batches a second. */
const batchesPerSecond = 20
/** The longest key, whatever a line starts with. */
const keyCharsMax = 200

export interface FeedOptions {
  readonly rate: number | undefined
  readonly signal: AbortSignal
  /** Called after each answer, also after a refusal that says how much was accepted. */
  readonly onAccepted: (count: number) => void
}

/** Resolves when all lines are accepted. @throws {ProduceError} */
export async function feed(
  client: Pick<ConcordClient, 'produce'>,
  { lines }: Source,
  options: FeedOptions,
): Promise<void> {
  const { rate, signal, onAccepted } = options
  const size = rate === undefined ? batchLines : Math.min(batchLines, Math.ceil(rate / batchesPerSecond))
  const startedMs = performance.now()
  let sent = 0
  for await (const batch of batches(lines, size)) {
    if (rate !== undefined)
      await sleep(Math.max(0, startedMs + (sent / rate) * 1_000 - performance.now()), undefined, { signal })
    const timeMs = Date.now()
    const records = batch.map((line): ClientRecord => ({ key: keyOf(line), value: line, timeMs }))
    try {
      onAccepted((await client.produce('lines', records, { signal })).accepted)
    } catch (error) {
      if (error instanceof ProduceError) onAccepted(error.accepted)
      throw error
    }
    sent += records.length
  }
}

async function* batches(lines: Source['lines'], size: number): AsyncGenerator<string[]> {
  let batch: string[] = []
  for await (const line of lines) {
    if (batch.push(line) < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

function keyOf(line: string): string {
  const end = line.indexOf(' ')
  return line.slice(0, Math.min(end < 0 ? line.length : end, keyCharsMax))
}
