/**
 * Plain follower: sees what passes, and holds nothing back. What it is too slow for is dropped, oldest first, and told.
 *
 *   F1. At most `queueBytesMax` and a frame wait for the reader.
 *   F2. Every record of a producer between two that are shown is shown too, or counted in a `gap` before the second.
 * @module
 */
import { startTail, type Wire } from '../../infra/bus/index.ts'
import type { FollowEvent, RecordOutput } from '../../sdk/api.ts'
import type { FrameHeader } from '../../sdk/frame.ts'
import { outputsOf } from './encode.ts'
import { Wake } from './wake.ts'

export const queueBytesMax = 4 * 1024 * 1024

export interface PlainOptions {
  readonly wire: Wire
  readonly namespace: string
  readonly stream: string
  readonly signal: AbortSignal
  readonly queueBytesMax?: number
}

type Gap = Extract<FollowEvent, { event: 'gap' }>
interface Waiting {
  readonly bytes: Uint8Array
  readonly header: FrameHeader
}

export async function* followPlain(
  options: PlainOptions,
): AsyncGenerator<readonly (RecordOutput | FollowEvent)[]> {
  const { wire, namespace, stream, signal } = options
  const queue = new DropOldest(options.queueBytesMax ?? queueBytesMax)
  const wake = new Wake()
  const stop = startTail({
    ...{ wire, namespace, stream },
    onFrame(bytes, header) {
      queue.add({ bytes, header })
      wake.call()
    },
    onGap(partition, producer, records) {
      queue.missed(partition, producer, records)
      wake.call()
    },
  })
  try {
    await wire.flush() // from here on the server sends us all that passes
    yield [{ event: 'ready', hold: false }]
    while (!signal.aborted) {
      const gaps = queue.takeGaps()
      if (gaps.length > 0) yield gaps
      const next = queue.take()
      if (next !== undefined) yield [...outputsOf(stream, next.bytes, next.header, 0)]
      else await wake.sleep(signal)
    }
  } finally {
    stop()
  }
}

class DropOldest {
  readonly #bytesMax: number
  #frames: Waiting[] = []
  #bytes = 0
  readonly #gaps = new Map<string, Gap>()

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  add(frame: Waiting): void {
    this.#frames.push(frame)
    this.#bytes += frame.bytes.length
    while (this.#bytes > this.#bytesMax && this.#frames.length > 1) {
      const { header } = this.take()!
      this.missed(header.partition, header.producer, header.count)
    }
  }

  missed(partition: number, producer: string, records: number): void {
    const key = `${partition} ${producer}`
    const before = this.#gaps.get(key)?.records ?? 0
    this.#gaps.set(key, { event: 'gap', partition, producer, records: before + records })
  }

  take(): Waiting | undefined {
    const frame = this.#frames.shift()
    this.#bytes -= frame?.bytes.length ?? 0
    return frame
  }

  takeGaps(): Gap[] {
    const gaps = [...this.#gaps.values()]
    this.#gaps.clear()
    return gaps
  }
}
