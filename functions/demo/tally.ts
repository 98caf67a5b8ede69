/**
 * Tally: what came out of the pipeline, taken only from the records of `verdicts` and `alerts`.
 * @module
 */
import type { RecordOutput } from '../../sdk/api/index.ts'
import type { Alert, Verdict } from '../clicks/click.ts'
import { Latencies } from './latencies.ts'

export interface Offender {
  readonly client: string
  /** Clicks that were called fraudulent. */
  readonly flagged: number
  /** The first verdict of the highest score. */
  readonly worst: Verdict
}

export class Tally {
  /** Verdicts seen, and those of them that say fraud. */
  verdicts = 0
  frauds = 0
  /** Alerts seen, and the fraudulent clicks that they sum up. */
  alerts = 0
  alerted = 0
  /** Records that did not reach the followers, as the gateway reported. */
  missed = 0
  /** When the latest verdict came, on the clock of `performance.now()`. */
  verdictAtMs = 0
  readonly latencies = new Latencies()
  /** Requests of each client, as the keyed function counted them. */
  readonly clients = new Map<string, number>()
  readonly offenders = new Map<string, Offender>()

  addVerdict(record: RecordOutput): void {
    const verdict = JSON.parse(record.value ?? '') as Verdict
    this.verdicts++
    this.verdictAtMs = performance.now()
    this.latencies.add(Date.now() - record.timeMs)
    this.clients.set(verdict.client, Math.max(verdict.count, this.clients.get(verdict.client) ?? 0))
    if (verdict.fraud) this.#addOffence(verdict)
  }

  addAlert(record: RecordOutput): void {
    const alert = JSON.parse(record.value ?? '') as Alert
    this.alerts++
    this.alerted += alert.flagged
  }

  addMissed(records: number): void {
    this.missed += records
  }

  topOffenders(count: number): Offender[] {
    return [...this.offenders.values()].sort((a, b) => b.flagged - a.flagged).slice(0, count)
  }

  #addOffence(verdict: Verdict): void {
    this.frauds++
    const { flagged, worst } = this.offenders.get(verdict.client) ?? { flagged: 0, worst: verdict }
    const worse = verdict.score > worst.score ? verdict : worst
    this.offenders.set(verdict.client, { client: verdict.client, flagged: flagged + 1, worst: worse })
  }
}
