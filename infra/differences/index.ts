/** Differences: how they are written, and the stream of JetStream that holds them. */
export { type Differences, encodeDifferences } from './message.ts'
export { DifferenceStore } from './stream.ts'
