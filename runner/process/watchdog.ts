/**
 * Watchdog: decides when a runner is frozen or too large. Pure: it is told of beats and of time, and answers.
 *
 * Invariants (docs/design/0005-runner.md):
 *  D1. A runner that beats at least every `silenceMs` of the time in which all of its threads could run is not called
 *      frozen, unless it is silent for `longestSilenceMs`; one that loads has `startMs` until its next beat.
 *  D2. A runner that stops beating, and neither loads code nor waits for CPU or disk, is called frozen at most `silenceMs` and one look
 *      after its last beat, plus the watchdog's own lag.
 * @module
 */

export interface Look {
  /** Monotonic. */
  readonly nowMs: number
  /** How long the runner waited for a CPU or the disk since its last beat, as far as known. */
  readonly waitedMs: number
  readonly residentBytes: number
}

export type Verdict =
  | { readonly kind: 'well' }
  | { readonly kind: 'frozen'; readonly silentMs: number }
  | { readonly kind: 'memory'; readonly residentBytes: number }

export interface WatchdogLimits {
  /** Longest silence between two beats. */
  readonly silenceMs: number
  /** Longest silence between two beats on a machine that has no CPU for it. */
  readonly longestSilenceMs: number
  /** Longest silence while it loads, as it does first of all. */
  readonly startMs: number
  /** Beyond it the runner itself ends what grows. If it has not within `memoryGraceMs`, or is a quarter beyond, it is ended. */
  readonly residentBytesMax: number
  readonly memoryGraceMs: number
  /** Time between two looks. */
  readonly lookMs: number
}

export class Watchdog {
  readonly #limits: WatchdogLimits
  #sinceMs: number
  #waitedThen = 0
  #lookedMs: number
  #loads = true
  #largeSinceMs: number | undefined

  constructor(limits: WatchdogLimits, nowMs: number) {
    this.#limits = limits
    this.#sinceMs = nowMs
    this.#lookedMs = nowMs
  }

  beat(nowMs: number): void {
    this.#loads = false
    this.#countFrom(nowMs, 0)
  }

  /** It says that it loads: its next beat may take as long as the first. */
  load(nowMs: number): void {
    this.#loads = true
    this.#countFrom(nowMs, 0)
  }

  look(at: Look): Verdict {
    const lagMs = at.nowMs - this.#lookedMs - this.#limits.lookMs
    this.#lookedMs = at.nowMs
    if (this.#isTooLarge(at)) return { kind: 'memory', residentBytes: at.residentBytes }
    if (lagMs > this.#limits.lookMs) {
      // We ourselves did not run: beats may lie unread. The count starts anew.
      this.#countFrom(at.nowMs, at.waitedMs)
      return { kind: 'well' }
    }
    const silentMs = at.nowMs - this.#sinceMs
    const couldRunMs = silentMs - Math.max(0, at.waitedMs - this.#waitedThen)
    const { silenceMs, longestSilenceMs, startMs } = this.#limits
    const isFrozen = this.#loads
      ? couldRunMs > startMs
      : couldRunMs > silenceMs || silentMs > longestSilenceMs
    return isFrozen ? { kind: 'frozen', silentMs } : { kind: 'well' }
  }

  #countFrom(nowMs: number, waitedMs: number): void {
    this.#sinceMs = nowMs
    this.#waitedThen = waitedMs
  }

  #isTooLarge({ nowMs, residentBytes }: Look): boolean {
    const { residentBytesMax, memoryGraceMs } = this.#limits
    if (residentBytes <= residentBytesMax) {
      this.#largeSinceMs = undefined
      return false
    }
    this.#largeSinceMs ??= nowMs
    return residentBytes > residentBytesMax * 1.25 || nowMs - this.#largeSinceMs >= memoryGraceMs
  }
}
