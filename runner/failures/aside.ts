/**
 * SetAside: records that threw and wait for a retry while the others of their channels continue; and, if the policy keeps a
 * key's order, the records that wait behind them.
 *
 * Owns copies of these records. Their channel's position has passed them, and its credits say how many they are, so the account
 * is exact whatever happens to this process (I7): after a kill they are unaccounted; before leaving it settles each.
 *   SA1. They are bounded; without room the instance takes no input until one falls due.
 *   SA2. Each is settled once: it succeeded, or the policy decided finally.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import type { Consumer, TakenFrame } from '../../infra/bus/index.ts'
import { type FailurePolicy, waitAfter } from '../../sdk/manifest/policy.ts'
import { AsideList, lineOf, type Waiting } from '../../sdk/runtime/index.ts'
import type { RecordFailure } from '../isolate/index.ts'
import { type AloneFrame, frameAlone } from './alone.ts'
import { type Failed, locate } from './failed.ts'

const recordsMax = 4096
const bytesMax = 4 * 1024 * 1024
/** Assumed memory of an error. */
const errorBytes = 2048
/** Records retried in one batch. */
const atOnceMax = 64

/** A waiting record, and its last failure, if it was called at all. */
export interface Held {
  readonly frame: AloneFrame
  readonly failure: RecordFailure | undefined
  readonly attempts: number
}

/** The same, inside the list. */
interface Item {
  readonly frame: AloneFrame
  failure: RecordFailure | undefined
}

export class SetAside {
  readonly #consumer: Consumer
  /** The policy of the working version. */
  readonly #policy: () => FailurePolicy
  readonly #list: AsideList<Item>
  /** Those in the isolate, or about to be. */
  readonly #out = new Map<TakenFrame, Waiting<Item>>()

  constructor(consumer: Consumer, policy: () => FailurePolicy) {
    this.#consumer = consumer
    this.#policy = policy
    this.#list = new AsideList((attempts) => waitAfter(attempts, policy()))
  }

  get size(): number {
    return this.#list.size
  }

  get full(): boolean {
    return this.#list.size >= recordsMax || this.#list.bytes >= bytesMax
  }

  /** When the first falls due, on the clock of `hold`; infinite if none waits. */
  get nextDueMs(): number {
    return this.#list.nextDueMs
  }

  /** The keys behind which records must wait, for the isolate; undefined if none. */
  get lines(): readonly string[] | undefined {
    return this.#list.size > 0 && this.#list.lines.length > 0 ? this.#list.lines : undefined
  }

  /** True for a frame that `take` returned. */
  has(frame: TakenFrame): boolean {
    return this.#out.has(frame)
  }

  /** How often the record of a frame from `take` was tried. */
  attemptsOf(frame: TakenFrame): number {
    return this.#out.get(frame)?.attempts ?? 0
  }

  /** Keeps those failures of a batch that are set aside, before the frames' memory is reused. */
  hold(failures: readonly Failed[], nowMs: number): void {
    for (const failed of failures) {
      const { failure, frame } = failed
      const { action } = failure
      if ((action !== 'setAside' && action !== 'behind') || frame === undefined) continue
      const waiting = this.#out.get(frame)
      if (waiting !== undefined) {
        this.#out.delete(frame)
        waiting.item.failure = failure
        this.#list.again(waiting, nowMs)
        continue
      }
      this.#consumer.setAside(frame)
      const { record, sequence } = failed
      const alone = frameAlone(frame, record, sequence)
      const held = { frame: alone, failure: action === 'behind' ? undefined : failure }
      const line = this.#policy().keepsOrder ? lineOf(frame.partition, record.key) : undefined
      const attempts = action === 'behind' ? 0 : Math.max(1, failure.attempts)
      this.#list.add({ item: held, line, attempts, bytes: alone.bytes.length + errorBytes }, nowMs)
    }
  }

  /** Takes due records. Each must be settled, held again, or given back. */
  take(nowMs: number): AloneFrame[] {
    return this.#list.take(nowMs, atOnceMax).map((waiting) => this.#give(waiting, false))
  }

  /** Takes all waiting records, for a last attempt. */
  takeForTheLast(): AloneFrame[] {
    return this.#list.take(Number.POSITIVE_INFINITY, atOnceMax).map((waiting) => this.#give(waiting, true))
  }

  /** Settles a taken record, whatever became of it. */
  settle(frame: TakenFrame, nowMs: number): void {
    const waiting = this.#out.get(frame)
    if (waiting === undefined) return
    this.#out.delete(frame)
    this.#consumer.settle(frame)
    this.#list.done(waiting, nowMs)
  }

  /** Puts back records that were taken and not called. */
  giveBack(): void {
    for (const waiting of this.#out.values()) this.#list.putBack(waiting)
    this.#out.clear()
  }

  /** Settles all waiting records without another attempt. @returns Those about which the policy must decide. */
  giveUp(nowMs: number): Held[] {
    this.giveBack()
    const all: Held[] = []
    for (let taken = this.takeForTheLast(); taken.length > 0; taken = this.takeForTheLast()) {
      for (const frame of taken) {
        const { item, attempts } = this.#out.get(frame)!
        all.push({ ...item, attempts })
        this.settle(frame, nowMs)
      }
    }
    return all
  }

  #give(waiting: Waiting<Item>, last: boolean): AloneFrame {
    const frame = { ...waiting.item.frame, tried: waiting.attempts, last }
    this.#out.set(frame, waiting)
    return frame
  }
}

/** The failure of a record that was set aside and is given up without another attempt. */
export function failedOf(
  { frame, failure: last, attempts }: Held,
  action: RecordFailure['action'],
  timeMs: number,
): Failed {
  const never = 'it waited behind an earlier record of its key when its instance ended'
  const error = last?.error ?? { name: 'Error', message: never, stack: '', timeMs }
  const failure = { index: 0, action, attempts, told: true, error }
  return locate([frame], [failure])[0]!
}
