/**
 * Mirror: repeats the calls of another isolate (player.ts), and compares its results with theirs.
 *
 *   MR1. It processes the records that the other one finished in a call, in order, and no others; so each is compared once.
 *   MR2. Time and random numbers are those of the other one's call.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import type { OutputConfig } from '../../sdk/runtime/index.ts'
import { untimedRecords } from '../../sdk/versions/shadow.ts'
import type { IsolateStats } from '../isolate/index.ts'
import { compare } from './compare.ts'
import { differenceOf, timersDifference } from './difference.ts'
import type { Findings } from './findings.ts'
import { type Given, Player, type PlayerOptions, type StateCopy } from './player.ts'

/** A call of the other isolate, with its outcome. Its memory is given back once it was repeated (call-memory.ts). */
export interface Call extends Given {
  readonly log: Uint8Array<ArrayBuffer>
  /** Records whose key is of another share. */
  readonly elsewhere?: number
  /** How long it took. */
  readonly ms: number
}

export class Mirror {
  readonly #player: Player
  readonly #findings: Findings
  readonly #outputs: readonly OutputConfig[]
  /** Records before times count: the first calls run code that is not compiled yet. */
  #untimed = untimedRecords

  private constructor(player: Player, findings: Findings, outputs: readonly OutputConfig[]) {
    this.#player = player
    this.#findings = findings
    this.#outputs = outputs
  }

  /** @param outputs Its output streams, in the order of its manifest. @throws {CodedError} Why it cannot be made. */
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

  /** @param outputs The other one's output streams. @throws {CodedError} Why it has ended; what it did before is compared. */
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

  stats(): IsolateStats {
    return this.#player.stats()
  }

  end(): void {
    this.#player.end()
  }

  /** After `end`. @returns Whether the memory of its state may be used again. */
  ended(): Promise<boolean> {
    return this.#player.ended()
  }
}
