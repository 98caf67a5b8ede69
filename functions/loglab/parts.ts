/**
 * Parts: what log-count-by-month and log-count-by-time tell log-total, and what that tells the world.
 * @module
 */

/** How many different words of one partition lie in a window. No word is in two partitions, so parts add up. */
export interface CountPart {
  readonly from: string
  readonly to: string
  readonly partition: number
  readonly words: number
  /** Whether the window has closed there: nothing is added any more. */
  readonly closed: boolean
}

/** How many different words lie in a window, as far as its parts have told. */
export interface Count {
  readonly from: string
  readonly to: string
  readonly words: number
  /** How many partitions have told, and in how many of them the window has closed. */
  readonly parts: number
  readonly closed: number
}
