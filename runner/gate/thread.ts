/**
 * GateThread: runs a judgement in a thread of its own, so that neither reading the tape nor comparing delays working instances.
 *
 *   GH1. Tape and states lie in memory that both threads share; the new one only reads them.
 *   GH2. The thread gets all else as data. It asks back only for bases (bases.ts), which it cannot read itself.
 *   GH3. It ends with its judgement, which is stopped `graceMs` after its limit (GT6). Before it tells the judgement, or fails, it has
 *        ended its isolates and collects its garbage (process/collect-before-end.ts): its end could abort the runner else, so it is
 *        never ended before. Until it has ended, tape and memory are its own.
 *   GH4. One that has not ended `stopMs` after its stop is left alone: the judgement has failed, and the next one may begin beside it.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import { Worker as Thread } from 'node:worker_threads'
import type { Clock } from '../../infra/clock.ts'
import { programFile } from '../../infra/programs.mjs'
import { CodedError } from '../../sdk/errors.ts'
import type { OutputConfig } from '../../sdk/runtime/index.ts'
import type { GateEvidence } from '../../sdk/versions/gate.ts'
import type { Base } from '../checkpoint/bases.ts'
import { type IsolateOptions, runtimeText } from '../isolate/index.ts'
import type { ToldMemory } from '../process/memory.ts'
import type { TapeSnapshot } from './tape.ts'

/** For loading code, making two isolates, and a call that goes beyond the limit. */
const graceMs = 30_000
/** GH4. */
const stopMs = 10_000

export interface ThreadSide {
  readonly isolate: Omit<IsolateOptions, 'clock' | 'log' | 'memory' | 'metrics' | 'state'>
  readonly outputs: readonly OutputConfig[]
}

/** The data for a judgement; see `GateOptions`. */
export interface ThreadTask {
  readonly snapshot: TapeSnapshot
  readonly lostMs: number
  /** The number of the first arena, by input stream. */
  readonly arenas: Readonly<Record<string, number>>
  /** The bases, by arena. */
  readonly kept: ReadonlyMap<number, readonly Base[]>
  readonly memory: ToldMemory
  readonly live: ThreadSide
  readonly next: ThreadSide
  readonly limitMs: number
  readonly workShare: number
}

/** From the thread. */
export type ThreadWord =
  | { readonly kind: 'read'; readonly arena: number; readonly base: Base }
  | { readonly kind: 'judged'; readonly evidence: GateEvidence }

/** To the thread: the state, or why it cannot be read, and the present bases. */
export type ReadAnswer =
  | { readonly slabs: readonly SharedArrayBuffer[] }
  | { readonly code: string; readonly message: string; readonly bases: readonly Base[] }

export type ToThread = ReadAnswer | 'stop'

/** The bases of the working instance. */
export interface KeptStates {
  basesOf(arena: number): readonly Base[]
  readBase(arena: number, base: Base): Promise<readonly SharedArrayBuffer[]>
}

/** @throws {Error} The thread could not judge. */
export async function judgeInThread(
  task: ThreadTask,
  states: KeptStates,
  clock: Clock,
): Promise<GateEvidence> {
  const { promise, resolve, reject } = Promise.withResolvers<GateEvidence>()
  const entry = programFile('runner/gate/thread-main.ts')
  const thread = new Thread(entry, { workerData: { ...task, runtime: await runtimeText() } })
  const tell = (word: ToThread): void => thread.postMessage(word)
  let late: Error | undefined
  thread.on('message', (word: ThreadWord) => {
    if (word.kind === 'read') return void answer(word, states).then(tell)
    if (late === undefined) resolve(word.evidence)
    void thread.terminate()
  })
  thread.on('error', reject)
  thread.on('exit', () => reject(late ?? new Error('its thread has ended')))
  let cancel = clock.after(task.limitMs + graceMs, () => {
    const why = new Error('its thread did not end in time')
    late = why
    tell('stop')
    cancel = clock.after(stopMs, () => reject(why))
  })
  try {
    return await promise
  } finally {
    cancel()
  }
}

async function answer(
  { arena, base }: ThreadWord & { readonly kind: 'read' },
  states: KeptStates,
): Promise<ReadAnswer> {
  try {
    return { slabs: await states.readBase(arena, base) }
  } catch (error) {
    const code = error instanceof CodedError ? error.code : ''
    return { code, message: (error as Error).message, bases: states.basesOf(arena) }
  }
}
