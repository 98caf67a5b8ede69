export { effectsCrc } from './effects.ts'
export { callMsMax, type Replayed, type ReplayedCall, replay } from './replay.ts'
export { runtimeText } from './runtime-text.ts'
