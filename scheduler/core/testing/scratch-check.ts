/**
 * ScratchCheck: compares a step, which looks at what has changed, with one that looks at everything (PL1). Test
 * equipment.
 * @module
 */
import assert from 'node:assert/strict'
import { isEqual } from '../state/equality.ts'
import type { Action, Event } from '../state/protocol.ts'
import type { State } from '../state/state.ts'
import { step, stepFromScratch } from '../step.ts'

/** @throws {AssertionError} If the two give different states or actions, or the step would wake up later. */
export function checkedStep(state: State, event: Event, nowMs: number): readonly [State, readonly Action[]] {
  const result = step(state, event, nowMs)
  checkAgainstScratch(state, event, nowMs, result)
  return result
}

export function checkAgainstScratch(
  state: State,
  event: Event,
  nowMs: number,
  [after, actions]: readonly [State, readonly Action[]],
): void {
  const [expected, expectedActions] = stepFromScratch(state, event, nowMs)
  same(inOrder(actions), inOrder(expectedActions), `PL1: what ${event.kind} leads to`)
  same(contentsOf(after), contentsOf(expected), `PL1: the state after ${event.kind}`)
  if (after.wakeAtMs <= expected.wakeAtMs) return
  // The event that the wake-up was for may have been dealt with in the same step: then a step from its end needs none
  // either.
  const [{ wakeAtMs }] = stepFromScratch(after, { kind: 'tick' }, nowMs)
  assert.ok(after.wakeAtMs <= wakeAtMs, `PL1: it wakes at ${after.wakeAtMs}, not at ${wakeAtMs}`)
}

/** Compares cheaply first: the detailed message is made only for a difference. */
function same(actual: unknown, expected: unknown, what: string): void {
  if (!isEqual(actual, expected)) assert.deepEqual(actual, expected, what)
}

/**
 * Actions in a comparable order: a plan that starts again because the topology changed visits functions in another
 * order.
 */
function inOrder(actions: readonly Action[]): readonly string[] {
  return actions.map((action) => JSON.stringify(action)).sort()
}

/** The state without the fields that only say what to look at next. */
function contentsOf({ agenda, commonAtMs, wakeAtMs, unsettled, tasks, functions, ...state }: State) {
  const described = [...functions.values()].map((fn) => [fn.name, fn] as const)
  return { ...state, tasks: new Map(tasks), functions: new Map(described) }
}
