/**
 * ChangeMeter: how long nothing came when the version changed that outputs are of, and how long nothing comes at any other
 * moment, before the first change and since.
 *
 * Each gap between two outputs is measured that contains a moment looked at: that of a change, or, forty times a second, one that
 * the clock chooses. Both fall into long gaps more often than into short ones, so they can be compared.
 * @module
 */
const everyUs = 25_000

export interface Changes {
  /** Milliseconds, one for each change, in order. */
  readonly changesMs: readonly number[]
  /** At the other moments, before the first change. */
  readonly steadyMs: readonly number[]
  /** The same since: others are made ready meanwhile. */
  readonly betweenMs: readonly number[]
  /** Outputs of an earlier version behind one of a later version, in a partition. */
  readonly backwards: number
}

export class ChangeMeter {
  readonly #versions: number[]
  readonly #changesMs: number[] = []
  #steadyMs: number[] = []
  readonly #betweenMs: number[] = []
  #newest = 0
  #lastUs = 0
  #backwards = 0

  constructor(partitions: number) {
    this.#versions = new Array<number>(partitions).fill(0)
  }

  see(partition: number, version: number, nowUs: number): void {
    const gapMs = (nowUs - this.#lastUs) / 1000
    const isMoment = Math.floor(nowUs / everyUs) !== Math.floor(this.#lastUs / everyUs)
    if (this.#lastUs > 0 && version > this.#newest && this.#newest > 0) this.#changesMs.push(gapMs)
    else if (this.#lastUs > 0 && isMoment)
      (this.#changesMs.length === 0 ? this.#steadyMs : this.#betweenMs).push(gapMs)
    this.#newest = Math.max(this.#newest, version)
    this.#lastUs = nowUs
    if (version < this.#versions[partition]!) this.#backwards += 1
    else this.#versions[partition] = version
  }

  /** What was steady until now does not count: it was not. */
  forget(): void {
    this.#steadyMs = []
  }

  changes(): Changes {
    const [changesMs, steadyMs, betweenMs] = [this.#changesMs, this.#steadyMs, this.#betweenMs]
    return { changesMs, steadyMs, betweenMs, backwards: this.#backwards }
  }
}
