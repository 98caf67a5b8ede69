import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCode } from '../errors.ts'
import { openArena } from './arena/index.ts'
import { StateMemory } from './state-memory.ts'

test('StateMemory is one limit for the arenas of all partitions, and an arena that is refused keeps what it has', () => {
  const memory = new StateMemory(1024 * 1024)
  const arenas = [openArena(memory.slabs()), openArena(memory.slabs())]
  const value = new Uint8Array(1000).fill(7)
  const stored = [0, 0]
  assert.throws(
    () => {
      for (let i = 0; ; i++) {
        arenas[i % 2]!.set(`key-${i}`, value)
        arenas[i % 2]!.commit()
        stored[i % 2]! += 1
      }
    },
    (error) => isCode(error, 'ERR_STATE_FULL'),
  )
  assert.ok(stored[0]! + stored[1]! > 700, `${stored}`)
  for (const [index, arena] of arenas.entries()) {
    arena.rollback()
    assert.equal(arena.entries, stored[index])
    assert.deepEqual(arena.get(`key-${index}`), value)
  }
})
