/**
 * WorkerOptions: what a worker needs; in a file of its own for its size.
 * @module
 */
import type { Spill, Wire } from '../../infra/bus/index.ts'
import type { GoneProducer } from '../../infra/control/messages/accounts.ts'
import type { FunctionAssignment, InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import type { ErrorReport } from '../../infra/control/messages/heartbeat.ts'
import type { MetricSums } from '../../sdk/wire/user-metrics.ts'
import type { StateKeeper } from '../checkpoint/state-keeper.ts'
import type { Whose } from '../failures/failure-log.ts'
import type { LetterBox } from '../failures/letter-box.ts'
import type { MovedState } from '../handover/message.ts'
import type { MoveAnswer, MoveAsk } from '../handover/moves.ts'
import type { SingleIsolate } from '../isolate/index.ts'
import type { Ending } from '../process/ending.ts'
import type { Standing } from '../process/relief.ts'
import type { UsageOptions } from '../usage/usage.ts'
import type { Allowances } from './allowances.ts'

export interface WorkerOptions extends UsageOptions {
  readonly wire: Wire
  readonly namespace: string
  readonly assignment: FunctionAssignment
  readonly instance: InstanceAssignment
  /** The isolate, loaded and initialised. */
  readonly isolate: SingleIsolate
  /** Absent if the function has no checkpoints. */
  readonly keeper?: StateKeeper | undefined
  /** Called once, when the worker cannot go on. */
  readonly onEnd: (ending: Ending) => void
  /** The function's own metrics. */
  readonly metrics: MetricSums
  /** How the memory of the process stands. */
  readonly standing: Standing
  /** Where dead letters go. */
  readonly letters: LetterBox
  /** The disk queue for outputs to consumers that use one. */
  readonly spill?: Spill
  /** Asks another runner for a share that it should hand over. */
  readonly ask: (task: string, ask: MoveAsk) => Promise<MoveAnswer<MovedState>>
  /** Called when outputs begin to wait for a function without an instance. */
  readonly onWant: () => void
  /** Announces raised allowances. */
  readonly allowances: Allowances
  /** The killed producers that the scheduler asks about. */
  readonly gone: () => readonly GoneProducer[]
  /** Called when a share was taken over or handed over. */
  readonly onMoved: () => void
  /** Called for each failed callback; without an error if it was only counted. */
  readonly onFailure: (whose: Whose, action: string, error: (() => ErrorReport) | undefined) => void
}
