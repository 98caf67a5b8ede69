/**
 * Isolate: what a worker uses of an isolate; there may be two behind it (runner/canary/split.ts).
 * @module
 */
import type { SingleIsolate } from './single-isolate.ts'
import type { BatchResult, InputFrame, RunOptions } from './types.ts'

export type Isolate = Pick<
  SingleIsolate,
  | 'adopt'
  | 'askToYield'
  | 'atTimers'
  | 'collect'
  | 'commitWord'
  | 'cpuSeconds'
  | 'destroy'
  | 'ended'
  | 'endTrial'
  | 'format'
  | 'holder'
  | 'isEnded'
  | 'keepPartitions'
  | 'kill'
  | 'nextTimerMs'
  | 'provideShadow'
  | 'resume'
  | 'setOutputs'
  | 'settleFormat'
  | 'shadowBytesAhead'
  | 'state'
  | 'stats'
  | 'takeOver'
  | 'tapped'
> & {
  run(frames: readonly InputFrame[], nowMs: number, how?: Pick<RunOptions, 'lines'>): Promise<BatchResult>
}
