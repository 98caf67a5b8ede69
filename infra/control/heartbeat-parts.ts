/**
 * HeartbeatParts: splits a heartbeat of many instances into messages, and joins them again.
 *
 *   HP1. No part exceeds `partBytesMax`, well below NATS's 1 MiB, unless a single report does.
 *   HP2. A heartbeat is delivered whole or not at all: if a part is lost, the rest is discarded when the next
 *        heartbeat begins.
 * @module
 */
import type { Heartbeat, InstanceReport } from './messages/heartbeat.ts'

const partBytesMax = 256 * 1024
/** The number of senders whose incomplete heartbeats are kept. */
const sendersMax = 1_000

/** The messages of a heartbeat, as JSON. */
export function splitHeartbeat(beat: Heartbeat, bytesMax = partBytesMax): string[] {
  const whole = JSON.stringify(beat)
  if (whole.length * 3 <= bytesMax || Buffer.byteLength(whole) <= bytesMax) return [whole]
  const head = Buffer.byteLength(JSON.stringify({ ...beat, instances: [] })) + 64
  const parts: InstanceReport[][] = [[]]
  let bytes = head
  for (const report of beat.instances) {
    const size = Buffer.byteLength(JSON.stringify(report)) + 1
    if (bytes + size > bytesMax && parts.at(-1)!.length > 0) {
      parts.push([])
      bytes = head
    }
    parts.at(-1)!.push(report)
    bytes += size
  }
  return parts.map((instances, index) =>
    JSON.stringify({ ...beat, instances, part: { index, count: parts.length } }),
  )
}

export class HeartbeatJoiner {
  readonly #begun = new Map<string, Heartbeat[]>()

  /** Takes a message. @returns The heartbeat that it completes. */
  take(beat: Heartbeat): Heartbeat | undefined {
    if (beat.part === undefined) return beat
    const { index, count } = beat.part
    const before = this.#begun.get(beat.id)
    this.#begun.delete(beat.id)
    const last = before?.at(-1)
    const goesOn =
      last?.sentAtMs === beat.sentAtMs && last.part?.index === index - 1 && last.part.count === count
    if (index > 0 && !goesOn) return undefined
    const parts = index === 0 ? [beat] : [...(before ?? []), beat]
    if (index === count - 1) {
      const { part: _part, ...rest } = beat
      return { ...rest, instances: parts.flatMap(({ instances }) => instances) }
    }
    this.#begun.set(beat.id, parts)
    if (this.#begun.size > sendersMax) this.#begun.delete(this.#begun.keys().next().value!)
    return undefined
  }
}
