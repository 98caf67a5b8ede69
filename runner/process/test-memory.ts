/**
 * TestMemory: memory of a size and a use that a test says.
 * @module
 */
import { systemClock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import { Memory, type Room, type ToldMemory } from './memory.ts'

export function memoryOf(memMib: number, bytes: () => number): Memory {
  return new Memory({ memMib, bytes, clock: systemClock, workers: new Map(), assetBytes: () => 0 })
}

/** All of it, for a function; default: as much as anybody wants. */
export function roomOf(memMib = 2 ** 20, bytes: () => number = () => 0): Room {
  return memoryOf(memMib, bytes).roomFor(counting(memMib), 1)
}

/** As much as anybody wants, as another thread is told of it. */
export function toldMemory(): ToldMemory {
  const memMib = 2 ** 20
  return memoryOf(memMib, () => 0).told(counting(memMib), 1)
}

function counting(memMib: number): Pick<FunctionAssignment, 'function' | 'manifest'> {
  const manifest = manifestSchema.parse({ name: 'count', resources: { memMib } })
  return { function: manifest.name, manifest }
}
