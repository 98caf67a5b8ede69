/**
 * ReportBudget: how much is told of the callbacks that throw, so that one poisoned record in a hundred costs next to nothing.
 *
 * A record may be worth 1 µs of work; a stack of ten frames takes 8 µs to capture and spell, of one frame 3, of none 0.5.
 *   RB1. Of each second the first `wholeMax` errors are told with their whole stack, those up to `frameMax` with its innermost
 *        frame, the rest without.
 *   RB2. Of those that nobody needs one by one (`skip`, a retry that helped) the first `toldMax` are told; all are counted.
 *   RB3. V8's limit of frames is ours until the author's code sets it; then it stays as that code wants it.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
const wholeMax = 20
const toldMax = 100
const frameMax = 1000
const secondMs = 1000

/** The author's code may put its own `Error` in place of this one. */
const V8Error = Error

export class ReportBudget {
  #sinceMs = Number.NEGATIVE_INFINITY
  #errors = 0
  readonly #frames = V8Error.stackTraceLimit
  #framesSet = this.#frames

  /** Before a batch: in a new second errors are told whole again. */
  renew(nowMs: number): void {
    if (nowMs - this.#sinceMs < secondMs && nowMs >= this.#sinceMs) return
    this.#sinceMs = nowMs
    this.#errors = 0
    if (this.#framesSet !== this.#frames) this.#limit(this.#frames)
  }

  /** Another error. @returns Whether to tell of one that nobody needs for itself. */
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
      // Frozen, or a setter that throws: the author's code has made it its own.
    }
  }
}
