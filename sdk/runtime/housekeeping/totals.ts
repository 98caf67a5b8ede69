/**
 * Totals: the figures about state and timers that the host gets between two batches.
 * @module
 */

import type { KeyedState } from '../arena/keyed-state.ts'
import type { ControlWords } from '../shared/control-words.ts'
import { control, controlFloats } from '../shared/layout.ts'

/** The time between two batches that are only for sweeping. */
const sweepsApartMs = 20

/** Adds up all partitions, which are at rest. */
export function tellTotals(
  states: readonly (KeyedState | undefined)[],
  controlWords: ControlWords,
  nowMs: number,
): void {
  let entries = 0
  let bytes = 0
  let timers = 0
  let migrating = 0
  let crowded = 0
  let locked = 0
  let nextMs = Number.POSITIVE_INFINITY
  for (const state of states) {
    if (state === undefined) continue
    entries += state.entries
    bytes += state.bytes
    timers += state.timers.count
    if (state.leftovers?.isMigrating) migrating++
    if (state.leftovers?.isCrowded) crowded++
    if (state.leftovers?.isLocked) locked++
    if (state.leftovers?.isUntidy) nextMs = Math.min(nextMs, nowMs + sweepsApartMs)
    nextMs = Math.min(nextMs, state.timers.dueMs, Math.max(state.nextExpiryMs, nowMs + sweepsApartMs))
    state.rest()
  }
  controlWords.setWord(control.stateEntries, entries)
  controlWords.setFloat(controlFloats.stateBytes, bytes)
  controlWords.setWord(control.timers, timers)
  controlWords.setWord(control.migrating, migrating)
  controlWords.setWord(control.crowded, crowded)
  controlWords.setWord(control.locked, locked)
  controlWords.setFloat(controlFloats.nextTimerMs, nextMs)
}
