/**
 * Swap check: asserts that no wanted instance is drained for a version that could take over in it (DI2 of directing.ts),
 * whether this leader has heard it or not. Test equipment.
 * @module
 */
import assert from 'node:assert/strict'
import { drainReason } from '../../../sdk/versions/swap.ts'
import type { Event } from '../state/protocol.ts'
import { isActive } from '../state/roles.ts'
import { instanceId, type Slot, type State } from '../state/state.ts'

/** @throws {AssertionError} */
export function checkSwaps(before: State, event: Event, after: State): void {
  for (const [name, { slots }] of after.functions) {
    const wanted = after.wanted.functions.get(name)
    for (const slot of slots) {
      const next = replacedBy(slot)
      if (next === undefined || !isActive(slot) || !worked(before, event, name, slot)) continue
      const { version, resources } = slot.seat!.document
      const [from, to] = [version, next].map((number) => wanted?.versions.get(number))
      if (from === undefined || to === undefined || wanted?.document.drain || slot.failed?.version === next)
        continue
      assert.notEqual(
        drainReason(from, to, resources),
        undefined,
        `DI2: ${instanceId(name, slot.index)} is drained, and v${next} could take over from v${version}`,
      )
    }
  }
}

/** The version for which an instance drains. */
function replacedBy({ phase, seat, why }: Slot): number | undefined {
  const [, next] = /^version (\d+) replaces/.exec(phase === 'draining' && seat ? (why ?? '') : '') ?? []
  return next === undefined ? undefined : Number(next)
}

/** Whether it was at work before the event, by this leader's state or by what the one before it has left. */
function worked(before: State, event: Event, name: string, { index, seat }: Slot): boolean {
  const known =
    event.kind === 'restored'
      ? event.statuses
          .find((status) => status.function === name)
          ?.instances.find((one) => one.index === index && one.taskId === seat?.document.taskId)?.state
      : before.functions.get(name)?.slots.find((slot) => slot.index === index)?.phase
  return known === 'running' || known === 'swapping'
}
