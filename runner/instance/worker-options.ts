/**
 * WorkerOptions: what a worker stands on, and a shape of its own.
 * @module
 */
import type { Spill, Wire } from '../../infra/bus/index.ts'
import type {
  ErrorReport,
  FunctionAssignment,
  GoneProducer,
  InstanceAssignment,
} from '../../infra/control/messages.ts'
import type { MetricSums } from '../../sdk/wire/user-metrics.ts'
import type { StateKeeper } from '../checkpoint/state-keeper.ts'
import type { LetterBox } from '../failures/letter-box.ts'
import type { MovedState } from '../handover/message.ts'
import type { MoveAnswer, MoveAsk } from '../handover/moves.ts'
import type { Instance } from '../isolate/index.ts'
import type { Ending } from '../process/ending.ts'
import type { UsageOptions } from '../usage/usage.ts'
import type { Allowances } from './allowances.ts'

export interface WorkerOptions extends UsageOptions {
  readonly wire: Wire
  readonly namespace: string
  readonly assignment: FunctionAssignment
  readonly instance: InstanceAssignment
  /** The isolate, loaded and initialised. */
  readonly isolate: Instance
  /** Absent where the function wants no checkpoints. */
  readonly keeper?: StateKeeper | undefined
  /** Called once, when the worker cannot go on. */
  readonly onEnd: (ending: Ending) => void
  /** What the function counts and observes. */
  readonly metrics: MetricSums
  /** Where dead letters go. */
  readonly letters: LetterBox
  /** Where outputs wait for consumers that queue on disk. */
  readonly spill?: Spill
  /** Asks another runner for a share that it is to give. */
  readonly ask: (task: string, ask: MoveAsk) => Promise<MoveAnswer<MovedState>>
  /** Outputs begin to wait for a function that has no instance. */
  readonly onWant: () => void
  /** Hears what it may have sent before its next report. */
  readonly allowances: Allowances
  /** Producers that are gone, of whom it is asked how far it has come with them. */
  readonly gone: () => readonly GoneProducer[]
  /** A share has come or gone. */
  readonly onMoved: () => void
  /** Called for each callback that failed; without an error where it was counted only. */
  readonly onFailure: (instance: string, action: string, error: (() => ErrorReport) | undefined) => void
}
