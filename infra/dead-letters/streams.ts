/**
 * Streams: the two of JetStream that a namespace's dead letters live in. `concord-dead-…` takes what runners write;
 * `concord-redriven-…` has one message for each of those of which a letter was redriven or removed, and says which.
 *
 *   DS1. What is full refuses, so that what waits is safe and whoever writes knows. Only age and `concord dlq rm` remove.
 * @module
 */

/** Letters of a namespace. */
export function lettersStream(namespace: string): string {
  return `concord-dead-${namespace}`
}

/** Marks on them. */
export function marksStream(namespace: string): string {
  return `concord-redriven-${namespace}`
}
