/**
 * Step: the whole scheduler as one pure function. What happened goes in, what to do comes out.
 * @module
 */

import { observe } from './observe.ts'
import { plan } from './plan.ts'
import { Draft } from './state/draft.ts'
import type { Action, Event } from './state/protocol.ts'
import type { State } from './state/state.ts'

/** Returns the next state, and the actions to carry out in their order. `state` is not modified. */
export function step(state: State, event: Event, nowMs: number): readonly [State, readonly Action[]] {
  const draft = new Draft(state, nowMs)
  const concern = observe(draft, event)
  if (concern !== 'nothing') plan(draft, concern === 'all')
  return draft.finish()
}

/** The same, but looks at everything. For tests: `step` must give the same result. */
export function stepFromScratch(
  state: State,
  event: Event,
  nowMs: number,
): readonly [State, readonly Action[]] {
  const draft = new Draft(state, nowMs)
  if (observe(draft, event) !== 'nothing') plan(draft, true)
  return draft.finish()
}
