/**
 * Mirror: an isolate that is played the calls of another one, and how its results differ.
 *
 *   MR1. It does the records that were done in a call, in their order, and no other; so each is compared once.
 *   MR2. Time and chance of a call are those of the other one (player.ts).
 * Design: docs/design/0030-shadow.md
 * @module
 */
import type { OutputConfig } from '../../sdk/runtime/index.ts'
import { untimedRecords } from '../../sdk/versions/shadow.ts'
import type { InstanceStats } from '../isolate/index.ts'
import { compare } from './compare.ts'
import { differenceOf, timersDifference } from './difference.ts'
import type { Findings } from './findings.ts'
import { type Given, Player, type PlayerOptions, type StateCopy } from './player.ts'

/** What an isolate was given in a call, and did; what was put off in it comes again. Its memory is given back once it was played (call-memory.ts). */
export interface Call extends Given {
  readonly log: Uint8Array<ArrayBuffer>
  /** How many of the records have a key of another share. */
  readonly elsewhere?: number
  /** How long it took. */
  readonly ms: number
}

export class Mirror {
  readonly #player: Player
  readonly #findings: Findings
  readonly #outputs: readonly OutputConfig[]
  #untimed = untimedRecords

  private constructor(player: Player, findings: Findings, outputs: readonly OutputConfig[]) {
    this.#player = player
    this.#findings = findings
    this.#outputs = outputs
  }

  /** @param outputs The streams, as its manifest counts them. @throws {CodedError} Why it cannot be made. */
  static async create(
    options: PlayerOptions,
    outputs: readonly OutputConfig[],
    findings: Findings,
  ): Promise<Mirror> {
    return new Mirror(await Player.create(options), findings, outputs)
  }

  /** Takes over a copy of the other one's state; before the first call. */
  adopt(state: StateCopy): Promise<void> {
    return this.#player.adopt(state)
  }

  /** @param outputs The streams of the other one. @throws {CodedError} Why it has ended; what it did before is compared. */
  async play(call: Call, outputs: readonly OutputConfig[]): Promise<void> {
    const { log, ms, fatal } = await this.#player.play(call)
    const compared = this.#compare(call, log, outputs)
    if (this.#untimed > 0) this.#untimed -= compared
    else if (fatal === undefined) this.#findings.timed(compared, call.ms, ms)
    if (fatal !== undefined) throw fatal
  }

  #compare(call: Call, log: Uint8Array<ArrayBuffer>, outputs: readonly OutputConfig[]): number {
    const findings = this.#findings
    let compared = 0
    compare(
      { log: call.log, outputs },
      { log, outputs: this.#outputs },
      {
        record: (index, same, live, shadow) => {
          compared++
          findings.record(live, shadow)
          if (!same) findings.differs(() => differenceOf(call.frames, index, live, shadow))
        },
        timers: (same, live, shadow) =>
          findings.timers(same, () => timersDifference(call.nowMs, live, shadow)),
      },
    )
    return compared
  }

  stats(): InstanceStats {
    return this.#player.stats()
  }

  end(): void {
    this.#player.end()
  }

  /** After that. @returns Whether the memory of its state may be used again. */
  ended(): Promise<boolean> {
    return this.#player.ended()
  }
}
