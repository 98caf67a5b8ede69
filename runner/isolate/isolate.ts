/**
 * Isolate: the part of an instance that a worker uses; there may be two instances behind it (runner/canary/split.ts).
 * @module
 */
import type { Instance } from './instance.ts'
import type { BatchResult, InputFrame, RunOptions } from './types.ts'

export type Isolate = Pick<
  Instance,
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
  run(
    frames: readonly InputFrame[],
    nowMs: number,
    how?: Pick<RunOptions, 'lines'>,
  ): Promise<BatchResult>
}
