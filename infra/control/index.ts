/** The front door of control/: codecs and helpers for the messages of the control plane, whose shapes are in messages/. */
export { codeOf, versionBeside } from './code.ts'
export { decodeCommand, encodeCommand } from './command.ts'
export {
  consumerName,
  consumersOf,
  followerName,
  functionOfConsumer,
  holdersOf,
  isOfAnother,
  type Reader,
} from './consumer.ts'
export { addCounts, addTotals, sumOfCounts } from './counts.ts'
export { decodeGateAnswer, decodeGateAsk, encodeGate, type GateAnswer, type GateAsk } from './gate.ts'
export { decodeGone, encodeGone } from './gone.ts'
export { parseHeartbeat, parseNotice } from './heartbeat.ts'
export { HeartbeatJoiner, splitHeartbeat } from './heartbeat-parts.ts'
export { type Ground, type Received, type ReceivedRows, settle, withRow } from './received.ts'
export { type InstanceRates, type OutputRates, Series } from './series.ts'
export {
  decodeStateAnswer,
  decodeStateAsk,
  encodeState,
  type ListAsk,
  type StateAnswer,
  type StateAsk,
} from './state.ts'
export {
  asideEndMs,
  callbackWaitMs,
  checkpointWaitMs,
  killGraceMs,
  lastWordsMs,
  leavingMs,
  neighboursWaitMs,
  outputsWaitMs,
} from './stop-times.ts'
export {
  decodeTimersAnswer,
  decodeTimersAsk,
  encodeTimers,
  type TimersAnswer,
  type TimersAsk,
} from './timers-again.ts'
