/** The front door of the scheduler's core: pure, no clock, no network, no store. */

export { disorderlyEnds, isUnsaid, leftBehind } from './endings.ts'
export { takenBy } from './placement/launching.ts'
export { versionInForce } from './state/in-force.ts'
export type { Action, Event, InstanceEnd, Launch } from './state/protocol.ts'
export { startMsOf } from './state/starts.ts'
export { initialState, liveTasks, type State, type Wanted, type WantedFunction } from './state/state.ts'
export { step } from './step.ts'
