/**
 * EngineOptions: what an engine needs, and the batch that it gets.
 * @module
 */
import type { ErrorPolicy, FunctionDefinition, StateFormat } from '../../function.ts'
import type { KeyShare } from '../../wire/key-share.ts'
import type { KeyedState } from '../arena/keyed-state.ts'
import type { Seam } from '../callback/seam.ts'
import type { OutcomeWriter, OutputStream } from '../outcome/outcome-writer.ts'
import type { ReportBudget } from '../outcome/report-budget.ts'
import type { Input } from '../records/record.ts'
import type { ControlWords } from '../shared/control-words.ts'
import type { TimerAtHand } from '../shared/timer-at-hand.ts'

export interface EngineOptions {
  readonly definition: FunctionDefinition
  readonly policy: ErrorPolicy
  /** A record that fails for good is left to another isolate (verdicts.ts, VD3), until `endTrial`. */
  readonly onTrial?: boolean
  /** The formats of its state; default: the first one, settled. */
  readonly format?: StateFormat | undefined
  readonly seam: Seam
  /** The names of the input streams, in the order of the batch's numbers. */
  readonly inputs: readonly string[]
  /** For each of them, the number of the arena for its partition 0; default: 0. */
  readonly arenas?: readonly number[] | undefined
  readonly outputs: readonly OutputStream[]
  /** The memory with the batch; the function may see it. */
  readonly input: Input
  /** The memory that the host reads. */
  readonly writer: OutcomeWriter
  readonly controlWords: ControlWords
  /** Notes the timer of the current callback; default: nothing does. */
  readonly timerAtHand?: TimerAtHand
  /** Opens the state of a partition on first use. */
  readonly openState: (partition: number) => KeyedState
  /** Partitions whose state exists already; default: none. */
  readonly partitions?: readonly number[]
  /** How many errors may be reported; default: all. */
  readonly reports?: ReportBudget
  /** Called with each thrown value; for the test kit. */
  readonly onThrown?: (thrown: unknown) => void
  /** Called at the end of a batch, `init` or `destroy`; for the test kit. */
  readonly onFinish?: () => void
}

export interface Batch {
  /** The rows of the table at the start of the input. */
  readonly frames: number
  readonly nowMs: number
  /** The input region as one latin1 string, if the host made one. */
  readonly text: string | undefined
  /** The keys that wait for records that were set aside, as JSON (aside.ts). */
  readonly lines?: string | undefined
  /** The keys that belong to this isolate; default: all. */
  readonly share?: KeyShare | undefined
}
