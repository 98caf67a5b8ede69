/**
 * How an arena is opened, or made.
 * @module
 */
import { Arena, type ArenaOptions } from './arena.ts'
import { arenaError, stateGrowing } from './errors.ts'
import { Memory } from './memory.ts'
import type { Slabs } from './slabs.ts'

/** Opens the arena in `slabs`, undoing what was not committed; makes one if there is none. */
export function openArena(slabs: Slabs, options: ArenaOptions = {}): Arena {
  if (slabs.count === 0 && !slabs.grow(0) && slabs.growing) throw stateGrowing('open state')
  if (slabs.count === 0)
    throw arenaError('ERR_STATE_FULL', 'Cannot make state: there is no memory for it', {
      limitBytes: slabs.limitBytes,
    })
  return new Arena(new Memory(slabs, options.keeper), options)
}
