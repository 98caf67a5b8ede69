/**
 * Tally: what each record of an outcome log came to, in their order.
 * @module
 */
import {
  entryKind,
  entryWords,
  kindOf,
  metricOf,
  metricValue,
  streamOf,
  verdictIn,
} from '../../sdk/runtime/index.ts'

export interface Tally {
  /** One of `verdict` (sdk/runtime/shared/layout.ts). */
  verdict: number
  /** Of each output the number of its stream, in their order. */
  readonly streams: number[]
  /** Of the metric asked for: the sum of its values, and their number. */
  metric: number
  values: number
}

/**
 * @param log Read before, and found to be well formed.
 * @param isMetric Whether a metric's number is that of the one asked for.
 * @param see Is given one object again and again.
 */
export function tally(
  log: Uint8Array<ArrayBuffer>,
  isMetric: (id: number) => boolean,
  see: (done: Readonly<Tally>) => void,
): void {
  const words = new Int32Array(log.buffer, log.byteOffset, log.length >> 2)
  const done: Tally = { verdict: 0, streams: [], metric: 0, values: 0 }
  const renew = (): void => {
    done.streams.length = done.metric = done.values = 0
  }
  for (let at = 0; at < words.length; at += entryWords(words, at)) {
    const head = words[at]!
    switch (kindOf(head)) {
      case entryKind.output:
        done.streams.push(streamOf(head))
        break
      case entryKind.metric:
        if (!isMetric(metricOf(head))) break
        done.metric += metricValue(words, at)
        done.values++
        break
      case entryKind.record:
        done.verdict = verdictIn(head)
        see(done)
        renew()
        break
      case entryKind.timer:
      case entryKind.swept:
        renew()
    }
  }
}
