/**
 * Parts: the messages from log-count-by-month and log-count-by-time to log-total, and the results of log-total.
 * @module
 */

/**
 * The number of different words of one partition in a window. No word is in two partitions, so parts can be added up.
 */
export interface CountPart {
  readonly from: string
  readonly to: string
  readonly partition: number
  readonly words: number
  /** Whether the window has closed there: then the number is final. */
  readonly closed: boolean
}

/** The number of different words in a window, as far as its parts have arrived. */
export interface Count {
  readonly from: string
  readonly to: string
  readonly words: number
  /** The number of partitions that have sent a part, and in how many of them the window has closed. */
  readonly parts: number
  readonly closed: number
}
