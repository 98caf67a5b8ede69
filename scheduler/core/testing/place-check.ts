/**
 * Place check: asserts that each launch in the world meets its constraints, counting all earlier launches. Test
 * equipment.
 * @module
 */
import assert from 'node:assert/strict'
import type { SeatDocument, TaskDocument, VersionDocument } from '../../../infra/store/index.ts'
import { parseConstraint } from '../../../sdk/manifest/constraint.ts'

/** What it looks at. */
export interface PlacesWorld {
  readonly attributes: ReadonlyMap<string, Readonly<Record<string, string>>>
  readonly tasks: ReadonlyMap<string, TaskDocument>
  readonly seats: ReadonlyMap<string, SeatDocument>
  readonly versions: ReadonlyMap<string, ReadonlyMap<number, VersionDocument>>
}

export function checkPlace(world: PlacesWorld, { taskId, agentId }: TaskDocument): void {
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
          // a later one of the same step may be of a version with weaker constraints
          other.firstEpoch <= seat.firstEpoch &&
          attributeAt(world.tasks.get(other.taskId)?.agentId ?? '', constraint.attribute) === value,
      )
      assert.ok(alike.length <= constraint.max, `${seat.function} ${text}: ${alike.length} with ${value}`)
    }
  }
}
