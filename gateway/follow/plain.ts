/**
 * Plain followers: they see what passes on a stream and hold nothing back. Records for a reader that is too slow are
 * dropped, oldest first, and counted.
 *
 *   F1. A stream is read and kept once, however many readers follow it (frame-log.ts).
 *   F2. At most `streamBytesMax` and one frame wait for the slowest reader of a stream, and `bytesMax` for all
 *       readers of all streams. Beyond that, the stream with the most is cut, so that a flood does not hurt a quiet
 *       stream.
 *   F3. Every record of a producer between two that are shown is shown too, or counted in a `gap` before the second.
 * @module
 */
import { giveBackMemory, startTail, type Wire } from '../../infra/bus/index.ts'
import type { FollowEvent, RecordOutput } from '../../sdk/api/index.ts'
import { outputsOf } from './encode.ts'
import { FrameLog, type LogReader } from './frame-log.ts'

export interface PlainOptions {
  readonly wire: Wire
  readonly namespace: string
  readonly streamBytesMax?: number
  readonly bytesMax?: number
}

interface Tail {
  readonly log: FrameLog
  readonly stop: () => void
}

const mib = 1024 * 1024

export class PlainFollowers {
  readonly #wire: Wire
  readonly #namespace: string
  readonly #streamBytesMax: number
  readonly #bytesMax: number
  readonly #tails = new Map<string, Tail>()

  constructor({ wire, namespace, streamBytesMax = 4 * mib, bytesMax = 64 * mib }: PlainOptions) {
    this.#wire = wire
    this.#namespace = namespace
    this.#streamBytesMax = streamBytesMax
    this.#bytesMax = bytesMax
  }

  /** Approximate bytes kept for readers. */
  get bytes(): number {
    let bytes = 0
    for (const { log } of this.#tails.values()) bytes += log.bytes
    return bytes
  }

  async *follow(
    stream: string,
    signal: AbortSignal,
  ): AsyncGenerator<Iterable<RecordOutput | FollowEvent>, void> {
    const { log } = this.#tailOf(stream)
    const reader = log.join()
    try {
      await this.#wire.flush() // from here on the server sends all frames
      yield [{ event: 'ready', hold: false }]
      while (!signal.aborted) {
        const next = log.take(reader)
        if (next === undefined) await reader.wake.sleep(signal)
        else yield 'bytes' in next ? outputsOf(stream, next.bytes, next.header, 0) : next
      }
    } finally {
      this.#leave(stream, reader)
    }
  }

  #tailOf(stream: string): Tail {
    let tail = this.#tails.get(stream)
    if (tail === undefined) {
      tail = this.#startTail(stream)
      this.#tails.set(stream, tail)
    }
    return tail
  }

  #leave(stream: string, reader: LogReader): void {
    const tail = this.#tails.get(stream)!
    tail.log.leave(reader)
    if (tail.log.readers > 0) return
    tail.stop()
    this.#tails.delete(stream)
  }

  #startTail(stream: string): Tail {
    const log = new FrameLog()
    const stop = startTail({
      ...{ wire: this.#wire, namespace: this.#namespace, stream },
      onFrame: (bytes, header) => {
        // Kept as long as readers need it, in a copy of its own size: its block, which is larger, takes the next frame.
        log.addFrame({ bytes: bytes.slice(), header })
        giveBackMemory(bytes)
        this.#dropTooMuch(log)
      },
      onGap: (partition, producer, records) => {
        log.addGap(partition, producer, records)
        this.#dropTooMuch(log)
      },
    })
    return { log, stop }
  }

  #dropTooMuch(grown: FrameLog): void {
    while (grown.bytes > this.#streamBytesMax && grown.entries > 1) grown.dropOldest()
    while (this.bytes > this.#bytesMax) this.#largest().dropOldest()
  }

  #largest(): FrameLog {
    const logs = [...this.#tails.values()].map(({ log }) => log)
    return logs.reduce((largest, log) => (log.bytes > largest.bytes ? log : largest))
  }
}
