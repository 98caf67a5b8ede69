/**
 * Totals: the figures about state and timers that the host gets between two batches.
 * @module
 */

import type { KeyedState } from '../arena/keyed-state.ts'
import type { Board } from '../shared/board.ts'
import { control, controlFloats } from '../shared/layout.ts'

/** The time between two batches that are only for sweeping. */
const sweepsApartMs = 20

/** Adds up all partitions, which are at rest. */
export function tellTotals(states: readonly (KeyedState | undefined)[], board: Board, nowMs: number): void {
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
  board.setWord(control.stateEntries, entries)
  board.setFloat(controlFloats.stateBytes, bytes)
  board.setWord(control.timers, timers)
  board.setWord(control.migrating, migrating)
  board.setWord(control.crowded, crowded)
  board.setWord(control.locked, locked)
  board.setFloat(controlFloats.nextTimerMs, nextMs)
}
