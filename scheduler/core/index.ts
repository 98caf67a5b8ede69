/** The front door of the scheduler's core: pure, no clock, no network, no store. */

export { versionInForce } from './in-force.ts'
export type { Action, Event, Launch } from './protocol.ts'
export { initialState, liveTasks, type State, type Wanted, type WantedFunction } from './state.ts'
export { step } from './step.ts'
