/**
 * What an engine stands on, and what it is given to do.
 * @module
 */
import type { ErrorPolicy, FunctionDefinition, StateFormat } from '../../function.ts'
import type { KeyShare } from '../../wire/key-share.ts'
import type { KeyedState } from '../arena/keyed-state.ts'
import type { Seam } from '../callback/seam.ts'
import type { OutcomeWriter, OutputStream } from '../outcome/outcome-writer.ts'
import type { ReportBudget } from '../outcome/report-budget.ts'
import type { Input } from '../records/record.ts'
import type { Board } from '../shared/board.ts'
import type { TimerAtHand } from '../shared/timer-at-hand.ts'

export interface EngineOptions {
  readonly definition: FunctionDefinition
  readonly policy: ErrorPolicy
  /** What throws for good is left to another isolate (verdicts.ts, VD3), until `endTrial`. */
  readonly onTrial?: boolean
  /** Of its state; default: the first, for good. */
  readonly format?: StateFormat | undefined
  readonly seam: Seam
  /** Names of the input streams, as the batch's table counts them. */
  readonly inputs: readonly string[]
  /** Of each of them, where its arenas begin: behind it lies that of partition 0; default: at 0. */
  readonly arenas?: readonly number[] | undefined
  readonly outputs: readonly OutputStream[]
  /** The batch, in memory that the function may see. */
  readonly input: Input
  /** What the host reads. */
  readonly writer: OutcomeWriter
  readonly board: Board
  /** Is told which timer a callback is called for; default: nobody is. */
  readonly timerAtHand?: TimerAtHand
  /** Opens the state of a partition when it is first asked for. */
  readonly openState: (partition: number) => KeyedState
  /** Partitions whose state is there already; default: none. */
  readonly partitions?: readonly number[]
  /** What may be told of errors; default: all of it. */
  readonly reports?: ReportBudget
  /** Hears each thrown value; for the test kit. */
  readonly onThrown?: (thrown: unknown) => void
  /** Hears that a batch, `init` or `destroy` has ended; for the test kit. */
  readonly onFinish?: () => void
}

export interface Batch {
  /** Rows of the table at the head of the input. */
  readonly frames: number
  readonly nowMs: number
  /** The input region as one latin1 string, if the host made one. */
  readonly text: string | undefined
  /** Lines that wait for records that were set aside, as JSON (aside.ts). */
  readonly lines?: string | undefined
  /** Whose records are this isolate's; default: all. */
  readonly share?: KeyShare | undefined
}
