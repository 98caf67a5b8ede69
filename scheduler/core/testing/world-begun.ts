/**
 * A world in which version 1 of `fn` works and version 2 has just been deployed. Test equipment.
 * @module
 */
import assert from 'node:assert/strict'
import type { ManifestInput } from '../../../sdk/manifest/manifest.ts'
import { World } from './world.ts'

export type Manifests = Omit<ManifestInput, 'name'>

interface Begun {
  readonly agents?: number
  /** Version 2 has a `migrate`. */
  readonly migrates?: boolean
}

/** @param after The manifest of version 2. */
export function begun(
  before: Manifests,
  after: Manifests = before,
  { agents, migrates = false }: Begun = {},
): World {
  const world = new World(agents)
  world.connect()
  world.deploy('fn', before)
  world.settle(20)
  assert.equal(world.functions.get('fn')?.good, 1, 'what there is nothing before comes into force')
  world.deploy('fn', after, { migrates })
  return world
}
