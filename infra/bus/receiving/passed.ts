/**
 * Passed: the newest frames of an awaited partition. Its producers sent them to the present owner; the next owner keeps them, so
 * that they need not be sent again while the partition stands still.
 *
 *   PA1. At most `bytesMax` bytes are kept; the oldest go first.
 * Design: docs/design/0011-handover.md
 * @module
 */
import type { FrameHeader } from '../../../sdk/wire/frame.ts'
import { giveBackMemory } from '../wire/frame-memory.ts'
import type { InChannel } from './in-channel.ts'

export interface PassedFrame {
  readonly header: FrameHeader
  readonly bytes: Uint8Array
}

export class Passed {
  #frames: PassedFrame[] = []
  #bytes = 0

  keep(header: FrameHeader, bytes: Uint8Array, bytesMax: number): void {
    this.#frames.push({ header, bytes })
    this.#bytes += bytes.length
    while (this.#bytes > bytesMax) {
      const oldest = this.#frames.shift()!
      this.#bytes -= oldest.bytes.length
      giveBackMemory(oldest.bytes)
    }
  }

  /**
   * Passes on the frames that continue the channels, in order of arrival, and keeps nothing.
   * @param accept Takes the next frame of its channel.
   * @returns The channels that got frames and have no gap behind them.
   */
  handOn(
    channels: ReadonlyMap<string, InChannel>,
    accept: (channel: InChannel, frame: PassedFrame) => void,
  ): InChannel[] {
    const whole = new Set<InChannel>()
    const rest: PassedFrame[] = []
    for (const frame of this.#frames) {
      const { producer, sequence, count } = frame.header
      const channel = channels.get(producer)
      const isNew = channel?.expected !== undefined && sequence + count > channel.expected
      if (isNew && sequence <= channel.expected!) {
        whole.add(channel)
        accept(channel, frame)
      } else {
        if (isNew) whole.delete(channel)
        rest.push(frame)
      }
    }
    this.#frames = rest
    this.drop()
    return [...whole]
  }

  /** Drops everything: another owner has the partition, or it is unknown what the producers still have. */
  drop(): void {
    for (const { bytes } of this.#frames) giveBackMemory(bytes)
    this.#frames = []
    this.#bytes = 0
  }
}
