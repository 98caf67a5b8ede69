/**
 * Step: the whole scheduler as one pure function. What happened goes in, what to do comes out.
 * @module
 */
import { Draft } from './draft.ts'
import { observe } from './observe.ts'
import { plan, planOffers } from './plan.ts'
import type { Action, Event } from './protocol.ts'
import type { State } from './state.ts'

/** Answers the next state, and the actions to be carried out in their order. `state` is left as it was. */
export function step(state: State, event: Event, nowMs: number): readonly [State, readonly Action[]] {
  const draft = new Draft(state, nowMs)
  if (observe(draft, event)) {
    if (event.kind === 'offers') planOffers(draft)
    else plan(draft)
  }
  return draft.finish()
}
