/**
 * Adopter: sends on what ended producers left on disk for functions whose input says `enqueue`.
 *
 *   AD1. Only the leading gateway adopts, so each chunk has one adopter.
 *   AD2. A chunk is taken only when its lane has little in memory, and not while its stream cannot be taken (G1 of ingest.ts), when
 *        its lane may yet come: waiting records stay on disk.
 *   AD3. A chunk that is for an earlier function of the same name is deleted: whoever removed that one has given it up.
 *   AD4. A chunk that is off the disk gets into its lane, also after the stop: `idle` waits for that.
 * Design: docs/design/0016-back-pressure.md
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import { isOfAnother } from '../../infra/control/index.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { Log } from '../../infra/log.ts'
import type { Orphans } from '../../infra/spill/index.ts'
import type { Ingest } from './ingest.ts'

const lookEveryMs = 5000
const atHandMax = 1024 * 1024

export interface AdopterOptions {
  readonly orphans: Orphans
  readonly ingest: Ingest
  readonly clock: Clock
  readonly log: Log
  /** Whether the files on disk belong to this gateway's store. */
  readonly isOurs: () => boolean
  /** The accounts of all living producers. */
  readonly outputs: () => readonly OutputLedger[]
}

export class Adopter {
  readonly #options: AdopterOptions
  #idle: Promise<void> = Promise.resolve()

  constructor(options: AdopterOptions) {
    this.#options = options
  }

  /** Looks for chunks at intervals. @returns A function that stops it. */
  start(): () => void {
    const { clock } = this.#options
    let cancel: (() => void) | undefined
    let ended = false
    const look = async (): Promise<void> => {
      this.#idle = this.#idle.then(() => this.#look(() => ended))
      await this.#idle
      if (!ended) cancel = clock.after(lookEveryMs, () => void look())
    }
    void look()
    return () => {
      ended = true
      cancel?.()
    }
  }

  /** Resolves when no look is under way. */
  get idle(): Promise<void> {
    return this.#idle
  }

  async #look(isEnded: () => boolean): Promise<void> {
    const { orphans, ingest, clock, log, outputs } = this.#options
    if (!this.#options.isOurs()) return
    for (const { spiller } of outputs()) if (spiller !== undefined) orphans.heard(spiller)
    let adopted = 0
    let deleted = 0
    try {
      const wants = (consumer: string, stream: string): boolean =>
        !isEnded() &&
        ingest.hasTaken(stream) &&
        (ingest.lane(consumer, stream)?.unstoredBytes ?? 0) < atHandMax
      for await (const chunk of orphans.take((place) => wants(place.function, place.stream))) {
        const lane = ingest.lane(chunk.function, chunk.stream)
        const isWanted = lane !== undefined && chunk.partition < lane.partitions.length
        if (!isWanted || isOfAnother(chunk.createdAtMs, lane.createdAtMs)) deleted += 1
        else {
          const storedMs = clock.nowMs() - chunk.storedAtMs
          lane.adopt(chunk.partition, chunk.bytes, storedMs, storedMs + chunk.ageMs)
          adopted += 1
        }
      }
    } catch (error) {
      log.warn({ err: error }, 'cannot take over what producers that are gone have left on disk')
    }
    if (adopted > 0) log.info({ chunks: adopted }, 'sends on what producers that are gone have left on disk')
    if (deleted > 0)
      log.info({ chunks: deleted }, 'deleted what was left on disk for functions that want it no more')
  }
}
