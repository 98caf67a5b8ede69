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
  /** Of the clients found, the share that are frauds; 1 where none was found. */
  readonly precision: number
  /** Of the frauds, the share that was found; 1 where there are none. */
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
