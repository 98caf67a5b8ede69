/**
 * ReportBudget: bounds how many errors are reported in full, so that one poisoned record in a hundred costs almost
 * nothing.
 *
 * A record may be 1 µs of work. Capturing and formatting a stack of ten frames takes 8 µs, of one frame 3, of none
 * 0.5.
 *   RB1. In each second the first `wholeMax` errors are reported with their whole stack, those up to `frameMax` with
 *        the innermost frame, and the rest without a stack.
 *   RB2. Of errors that nobody needs one by one (`skip`, a retry that succeeded) the first `toldMax` are reported;
 *        all are counted.
 *   RB3. V8's limit of stack frames is ours until the author's code sets it; then it stays.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
const wholeMax = 20
const toldMax = 100
const frameMax = 1000
const secondMs = 1000

/** Captured, because the author's code may replace `Error`. */
const V8Error = Error

export class ReportBudget {
  #sinceMs = Number.NEGATIVE_INFINITY
  #errors = 0
  readonly #frames = V8Error.stackTraceLimit
  #framesSet = this.#frames

  /** Before a batch: in a new second errors are reported in full again. */
  renew(nowMs: number): void {
    if (nowMs - this.#sinceMs < secondMs && nowMs >= this.#sinceMs) return
    this.#sinceMs = nowMs
    this.#errors = 0
    if (this.#framesSet !== this.#frames) this.#limit(this.#frames)
  }

  /** Counts an error. @returns Whether to report one that nobody needs by itself. */
  spend(): boolean {
    this.#errors++
    if (this.#errors === wholeMax) this.#limit(1)
    else if (this.#errors === frameMax) this.#limit(0)
    return this.#errors <= toldMax
  }

  /** False while errors are thrown without their stack. */
  get hasStacks(): boolean {
    return this.#framesSet !== 0
  }

  #limit(frames: number): void {
    try {
      if (V8Error.stackTraceLimit !== this.#framesSet) return
      V8Error.stackTraceLimit = frames
      this.#framesSet = frames
    } catch {
      // The property is frozen, or its setter throws: the author's code has taken it over.
    }
  }
}
