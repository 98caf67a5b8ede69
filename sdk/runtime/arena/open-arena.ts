/**
 * How an arena is opened, or made.
 * @module
 */
import { Arena } from './arena.ts'
import { arenaError, stateGrowing } from './errors.ts'
import type { CommitWord } from './journal.ts'
import { Memory } from './memory.ts'
import type { PageKeeper } from './pages.ts'
import type { Slabs } from './slabs.ts'

export interface ArenaOptions {
  /** What entries that expire are held against; default: no time ever passes. */
  readonly clock?: { readonly nowMs: number }
  /** The word that decides whether a transaction is committed; default: one of the arena's own. */
  readonly commitWord?: CommitWord
  /** Keeps what a checkpoint under way has not captured yet; default: there are no checkpoints. */
  readonly keeper?: PageKeeper
}

/**
 * Opens the arena in `slabs`, undoing what was not committed; makes one if there is none.
 * @param memory The slabs in view, if that is there already.
 */
export function openArena(slabs: Slabs, options: ArenaOptions = {}, memory?: Memory): Arena {
  if (slabs.count === 0 && !slabs.grow(0) && slabs.growing) throw stateGrowing('open state')
  if (slabs.count === 0)
    throw arenaError('ERR_STATE_FULL', 'Cannot make state: there is no memory for it', {
      limitBytes: slabs.limitBytes,
    })
  return new Arena(memory ?? new Memory(slabs, options.keeper), options)
}
