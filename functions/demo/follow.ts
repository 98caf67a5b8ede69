/**
 * Follow: follows a stream and holds it back to the demo's pace, so that nothing is missed.
 *
 *   F1. A follower that breaks is an error: reopened, it would have missed an unknown number of records.
 * @module
 */
import { type ConcordClient, type FollowLine, isRecord } from 'concord/client'
import type { RecordOutput } from '../../sdk/api/index.ts'

export interface FollowHandlers {
  readonly onRecord: (record: RecordOutput) => void
  /** Called if the gateway reports that records did not reach the follower. */
  readonly onMissed: (records: number) => void
  readonly signal: AbortSignal
}

export interface Follower {
  /** Resolves when the signal has ended it; rejects if anything else did. */
  readonly ended: Promise<void>
}

/** Resolves when every producer of the stream waits for the follower. */
export async function follow(
  client: ConcordClient,
  stream: string,
  handlers: FollowHandlers,
): Promise<Follower> {
  const lines = client.follow(stream, { hold: true, signal: handlers.signal })
  const { value: first } = await lines.next()
  if (first === undefined || isRecord(first) || first.event !== 'ready') {
    throw new Error(
      `Cannot follow stream '${stream}': expected the line 'ready' first, found ${JSON.stringify(first)}`,
    )
  }
  return { ended: read(stream, lines, handlers) }
}

async function read(
  stream: string,
  lines: AsyncIterable<FollowLine>,
  handlers: FollowHandlers,
): Promise<void> {
  try {
    for await (const line of lines) {
      if (isRecord(line)) handlers.onRecord(line)
      else if (line.event === 'gap') handlers.onMissed(line.records)
    }
  } catch (error) {
    if (!handlers.signal.aborted) throw error
  }
  if (!handlers.signal.aborted)
    throw new Error(`Cannot follow stream '${stream}' any further: the gateway ended it`)
}
