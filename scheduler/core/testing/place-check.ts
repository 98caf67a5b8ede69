/**
 * Place check: what is launched in the world is where its constraints let it be, all that was launched before counted.
 * Test equipment.
 * @module
 */
import assert from 'node:assert/strict'
import type { TaskDocument } from '../../../infra/store/index.ts'
import { parseConstraint } from '../../../sdk/manifest/constraint.ts'
import type { World } from './world.ts'

export function checkPlace(world: World, { taskId, agentId }: TaskDocument): void {
  const attributeAt = (agent: string, attribute: string) =>
    attribute === 'hostname' ? agent : world.attributes.get(agent)?.[attribute]
  for (const seat of world.seats.values()) {
    if (seat.taskId !== taskId) continue
    const manifest = world.versions.get(seat.function)?.get(seat.version)?.manifest
    for (const text of manifest?.placement?.constraints ?? []) {
      const constraint = parseConstraint(text)
      const value = attributeAt(agentId, constraint?.attribute ?? '')
      if (constraint?.kind === 'is') assert.equal(value, constraint.value, text)
      if (constraint?.kind !== 'maxPer') continue
      const alike = [...world.seats.values()].filter(
        (other) =>
          other.function === seat.function &&
          other.firstEpoch <= seat.firstEpoch && // one that follows in the same step may be of a version that asks for less
          attributeAt(world.tasks.get(other.taskId)?.agentId ?? '', constraint.attribute) === value,
      )
      assert.ok(alike.length <= constraint.max, `${seat.function} ${text}: ${alike.length} with ${value}`)
    }
  }
}
