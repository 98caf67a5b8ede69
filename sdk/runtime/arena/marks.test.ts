import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OwnSlabs, openArena, partKind } from './index.ts'

const part = { kind: partKind.window, number: 10 }

test('Arena raises the mark of a number beside the older one, which stays as it was for the version before', () => {
  const arena = openArena(new OwnSlabs())
  const useAs = (own: number, kept: number) => arena.useFormat({ own, kept, alone: true })
  useAs(1, 1)
  arena.addMarked('k', 2, 3, undefined, part)
  arena.commit()
  useAs(2, 1) // on trial
  assert.equal(arena.getMarked('k', 8, part), 2)
  assert.equal(arena.addMarked('k', 5, 1, undefined, part), 7)
  assert.equal(arena.markOf('k', part), 8)
  arena.commit()
  useAs(1, 1) // taken back
  assert.deepEqual([arena.getNumber('k', part), arena.markOf('k', part)], [2, 3])
  useAs(3, 1)
  assert.equal(arena.getMarked('k', 8, part), 2)
  arena.commit()
  useAs(3, 3)
  while (arena.leftovers?.isUntidy) if (arena.tidy(128)) arena.commit()
  assert.deepEqual([arena.getNumber('k', part), arena.markOf('k', part), arena.entries], [2, 8, 1])
})
