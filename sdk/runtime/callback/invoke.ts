/**
 * Invoke: where the author's `processRecord` and `processTimer` are called.
 *
 * V8 inlines a callee where it has seen no other. That makes a callback slower: as a part of the engine's loop its own loops are
 * compiled worse than by itself, where its module's constants are constants. A model of 3,200 multiplications took 11.1 µs a record
 * instead of 9.0, in three starts of four. So each call here has seen two callees before it sees the author's.
 * @module
 */
import type { FunctionDefinition } from '../../function.ts'
import type { RecordView } from '../records/record.ts'
import type { Timer } from '../shared/timer-at-hand.ts'
import type { FunctionContext } from './scope.ts'

type Callbacks = Pick<FunctionDefinition, 'processRecord' | 'processTimer'>

/** Calls `processTimer` if there is a timer, else `processRecord`. @returns What the callback does. */
export function invoke(
  callbacks: Callbacks,
  context: FunctionContext,
  record: RecordView,
  timer: Timer | undefined,
): unknown {
  return timer === undefined
    ? callbacks.processRecord!(context, record)
    : callbacks.processTimer!(context, timer.key, timer.timeMs)
}

/**
 * V8 begins to note callees when 940 bytes of bytecode have run (`--interrupt-budget-for-feedback-allocation`), here after about
 * forty calls; four are made in a round. Many more would get this compiled, which takes memory in each idle instance.
 */
const rounds = 20
const one: Callbacks = { processRecord: () => undefined, processTimer: () => undefined }
const other: Callbacks = { processRecord: () => undefined, processTimer: () => undefined }
for (let i = 0; i < rounds; i++)
  for (const callbacks of [one, other])
    for (const timer of [undefined, { partition: 0, key: '', timeMs: 0 }])
      invoke(callbacks, undefined as never, undefined as never, timer)
