/**
 * Owner check: asserts that each instance and partition in the world has one owner, that epochs grow, that no task
 * has more seats than it has room for (CC1, CC2, CC3 and CC5 of state.ts), and that no instance takes state that it
 * cannot read (HO2 of homes.ts). Test equipment.
 * @module
 */
import assert from 'node:assert/strict'
import type {
  FunctionDocument,
  SeatDocument,
  TaskDocument,
  VersionDocument,
} from '../../../infra/store/index.ts'
import type { Resources } from '../../engine.ts'
import type { WorldInstance } from './world-heartbeats.ts'

/** What it looks at. */
export interface OwnersWorld {
  readonly runners: ReadonlyMap<string, OwnersRunner>
  readonly seats: ReadonlyMap<string, SeatDocument>
  readonly functions: ReadonlyMap<string, FunctionDocument>
  readonly versions: ReadonlyMap<string, ReadonlyMap<number, VersionDocument>>
}

interface OwnersRunner {
  readonly document: TaskDocument
  readonly born: number
  /** Working instances, by id. */
  readonly instances: ReadonlyMap<string, WorldInstance>
}

export class OwnerCheck {
  readonly #world: OwnersWorld
  /** Highest epoch at which a partition was owned. */
  readonly #ownedAt = new Map<string, { epoch: number; runner: number; version: number }>()

  constructor(world: OwnersWorld) {
    this.#world = world
  }

  /** @throws {AssertionError} */
  look(): void {
    this.#lookAtRoom()
    const owners = new Set<string>()
    const working = new Set<string>()
    for (const runner of this.#world.runners.values()) {
      for (const { id, function: name, owns, version } of runner.instances.values()) {
        assert.ok(!working.has(id), `CC1: one ${id}`)
        working.add(id)
        for (const [partition, epoch] of owns) {
          const key = `${name}:${partition}`
          assert.ok(!owners.has(key), `CC2: ${key} has two owners`)
          owners.add(key)
          const before = this.#ownedAt.get(key)
          if (before !== undefined && before.epoch !== epoch)
            assert.ok(epoch > before.epoch, `CC3: ${key} goes to a higher epoch`)
          if (before?.epoch === epoch)
            assert.equal(before.runner, runner.born, `CC3: ${key} changes its owner`)
          assert.ok(
            !this.#goesBack(name, before?.version, version),
            `HO2: ${key} goes from v${before?.version} to v${version}`,
          )
          this.#ownedAt.set(key, { epoch, runner: runner.born, version })
        }
      }
    }
  }

  /** Whether a partition went from a rolling deploy's new version to one that cannot read its state. */
  #goesBack(name: string, from: number | undefined, to: number): boolean {
    const { version, rolling, good } = this.#world.functions.get(name) ?? {}
    if (from === undefined || from !== version || rolling?.version !== version || good === version)
      return false
    const formatOf = (number: number) => this.#world.versions.get(name)?.get(number)?.stateFormat ?? 1
    return formatOf(to) < formatOf(from)
  }

  #lookAtRoom(): void {
    const seatsOf = Map.groupBy(this.#world.seats.values(), (seat) => seat.taskId)
    for (const { document } of this.#world.runners.values()) {
      const seats = seatsOf.get(document.taskId) ?? []
      assert.ok(seats.length <= document.room, `CC5: ${document.taskId} has room for ${document.room}`)
      const used = (what: keyof Resources) =>
        seats.reduce((sum, seat) => sum + (seat.resources[what] ?? 0), 0)
      for (const what of ['cpus', 'memMib', 'diskMib'] as const)
        assert.ok(
          used(what) <= document.resources[what] + 1e-9,
          `CC5: ${document.taskId} has no more ${what}`,
        )
      if (document.group === undefined) assert.ok(seats.length <= 1)
    }
  }
}
