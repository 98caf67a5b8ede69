/**
 * Scores: how good the verdicts of each version were, and whether any is missing.
 *
 *   QU1. Only the generator knows what is a fraud; the verdict itself says which version judged.
 *   QU2. A verdict contains the count of its client's clicks in state. The counts must go up one by one, whatever
 *        version runs: a missing number is a lost click; a number that came before is a click judged twice, or out of
 *        order.
 *   QU3. A version is measured by the clients that no other version has judged.
 * @module
 */
import type { RecordOutput } from '../../../sdk/api/index.ts'
import type { Verdict } from '../../clicks/click.ts'
import { Latencies } from '../latencies.ts'
import { type Quality, qualityOf } from '../quality.ts'

interface Client {
  count: number
  /** The version that judged its clicks; 0: more than one. */
  version: number
  called: boolean
}

export class Scores {
  readonly #labels: ReadonlyMap<string, boolean>
  readonly #clients = new Map<string, Client>()
  /** When verdicts came, on the clock of `performance.now()`. */
  readonly #times: number[] = []
  readonly latencies = new Latencies()
  /** The number of clicks judged by each version. */
  readonly clicks = new Map<number, number>()
  /** When the first verdict of each version came. */
  readonly firstAtMs = new Map<number, number>()
  received = 0
  lost = 0
  repeated = 0

  /** @param labels Whether a client is a fraud; known before its first click is sent. */
  constructor(labels: ReadonlyMap<string, boolean>) {
    this.#labels = labels
  }

  add({ value = '', timeMs }: Pick<RecordOutput, 'value' | 'timeMs'>, nowMs: number): void {
    const { client: name, count, fraud, version } = JSON.parse(value) as Verdict & { version: number }
    this.received++
    this.#times.push(nowMs)
    this.latencies.add(performance.timeOrigin + nowMs - timeMs)
    this.clicks.set(version, (this.clicks.get(version) ?? 0) + 1)
    if (!this.firstAtMs.has(version)) this.firstAtMs.set(version, nowMs)
    const client = this.#clients.get(name) ?? { count: 0, version, called: false }
    if (count <= client.count) this.repeated++
    else this.lost += count - client.count - 1
    client.count = Math.max(client.count, count)
    if (client.version !== version) client.version = 0
    client.called ||= fraud
    this.#clients.set(name, client)
  }

  /** The verdicts on clients that only this version has judged (QU3). */
  qualityOf(version: number): Quality {
    const judged = [...this.#clients].filter(([, client]) => client.version === version)
    const labels = new Map(judged.map(([name]) => [name, this.#labels.get(name) ?? false]))
    return qualityOf(labels, (name) => this.#clients.get(name)!.called)
  }

  /** The longest time without a verdict in [from, to]. */
  longestGapMs(fromMs: number, toMs: number): number {
    let [longestMs, beforeMs] = [0, fromMs]
    for (const time of this.#times) {
      if (time <= fromMs) continue
      longestMs = Math.max(longestMs, Math.min(time, toMs) - beforeMs)
      if (time >= toMs) return longestMs
      beforeMs = time
    }
    return Math.max(longestMs, toMs - beforeMs)
  }
}
