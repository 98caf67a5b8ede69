/**
 * OpenArena: opens an arena, or makes one.
 * @module
 */
import { Arena, type ArenaOptions } from './arena.ts'
import { arenaError, stateGrowing } from './errors.ts'
import { Memory } from './memory.ts'
import type { Slabs } from './slabs.ts'

/**
 * Opens the arena in `slabs` and undoes what was not committed; makes an arena if there is none.
 * @param memory Views of the slabs, if they exist already.
 */
export function openArena(slabs: Slabs, options: ArenaOptions = {}, memory?: Memory): Arena {
  if (slabs.count === 0 && !slabs.grow(0) && slabs.growing) throw stateGrowing('open state')
  if (slabs.count === 0)
    throw arenaError(
      'ERR_STATE_FULL',
      `Cannot make state for another partition: the others take ${slabs.heldBytes} of the ${slabs.limitBytes} bytes that are allowed: delete entries, let them expire (ttlMs), or raise limits.stateMib`,
      { limitBytes: slabs.limitBytes },
    )
  return new Arena(memory ?? new Memory(slabs, options.keeper), options)
}
