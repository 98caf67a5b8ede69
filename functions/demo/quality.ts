/**
 * Quality: precision and recall of the verdicts, by client. A client counts as found if any of its clicks was called
 * fraudulent.
 * @module
 */

export interface Quality {
  readonly found: number
  readonly frauds: number
  /** Frauds that were found. */
  readonly right: number
  /** The share of frauds among the clients found; 1 if none was found. */
  readonly precision: number
  /** The share of frauds that were found; 1 if there are none. */
  readonly recall: number
}

export function qualityOf(
  labels: ReadonlyMap<string, boolean>,
  isFound: (client: string) => boolean,
): Quality {
  let found = 0
  let frauds = 0
  let right = 0
  for (const [client, fraud] of labels) {
    if (isFound(client)) found++
    if (fraud) frauds++
    if (fraud && isFound(client)) right++
  }
  return {
    found,
    frauds,
    right,
    precision: found === 0 ? 1 : right / found,
    recall: frauds === 0 ? 1 : right / frauds,
  }
}
