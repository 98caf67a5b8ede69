/**
 * How an arena is opened, or made.
 * @module
 */
import { Arena, type ArenaOptions } from './arena.ts'
import { arenaError, stateGrowing } from './errors.ts'
import { Memory } from './memory.ts'
import type { Slabs } from './slabs.ts'

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
