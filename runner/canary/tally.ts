/**
 * Tally: what each record of an outcome log came to, in their order.
 * @module
 */
import { recordBytes } from '../../sdk/frame.ts'
import { entryKind } from '../../sdk/runtime/index.ts'

export interface Tally {
  /** One of `verdict` (sdk/runtime/layout.ts). */
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
  for (let at = 0; at < words.length; ) {
    const head = words[at]!
    const kind = head & 0xff
    if (kind === entryKind.output) {
      done.streams.push((head >>> 8) & 0xff)
      at += 1 + (recordBytes(words[at + 2]!, words[at + 1]!) >> 2)
    } else if (kind === entryKind.metric) {
      if (isMetric((head >>> 8) & 0xff)) {
        done.metric += floatAt(words, at + 1)
        done.values++
      }
      at += 3
    } else if (kind === entryKind.report) at += 2 + ((words[at + 1]! + 3) >> 2)
    else {
      if (kind === entryKind.record) {
        done.verdict = (head >>> 8) & 0xff
        see(done)
      }
      renew()
      at += 1
    }
  }
}

const float = new Float64Array(1)
const floatWords = new Int32Array(float.buffer)

function floatAt(words: Int32Array, at: number): number {
  floatWords[0] = words[at]!
  floatWords[1] = words[at + 1]!
  return float[0]!
}
