/**
 * SetAside: records that threw and wait to be tried again, while the others of their channels go on; and, where the policy
 * keeps a key's order, those that wait behind them.
 *
 * Owns copies of these records. Their channel's position has passed them, and its credits say how many they are, so that the
 * account is exact whatever becomes of this process (I7): killed, they are unaccounted; leaving, it settles each before.
 *   SA1. They are bounded; when there is no room the instance takes no input until one falls due.
 *   SA2. Each is settled once: it went through, or the policy had its last word.
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
/** What the error of a failure may hold on to. */
const errorBytes = 2048
/** Tried in one batch. */
const atOnceMax = 64

/** A record that waits, and its last failure, if it was called at all. */
export interface Held {
  readonly frame: AloneFrame
  readonly failed: Failed | undefined
  readonly attempts: number
}

/** The same while it waits. */
interface Item {
  readonly frame: AloneFrame
  failed: Failed | undefined
}

export class SetAside {
  readonly #consumer: Consumer
  /** Of the version at work. */
  readonly #policy: () => FailurePolicy
  readonly #list: AsideList<Item>
  /** In the isolate, or about to be. */
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

  /** What waits behind them, for the isolate; undefined if nothing does. */
  get lines(): readonly string[] | undefined {
    return this.#list.size > 0 && this.#list.lines.length > 0 ? this.#list.lines : undefined
  }

  /** True of a record's own frame, as `take` has answered it. */
  has(frame: TakenFrame): boolean {
    return this.#out.has(frame)
  }

  /** How often a record was tried that `take` has answered. */
  attemptsOf(frame: TakenFrame): number {
    return this.#out.get(frame)?.attempts ?? 0
  }

  /** Of a batch's failures: keeps those that are set aside, before the frames' memory is used again. */
  hold(failures: readonly Failed[], nowMs: number): void {
    for (const failed of failures) {
      const { failure, frame, record, sequence } = failed
      const { action } = failure
      if ((action !== 'setAside' && action !== 'behind') || frame === undefined || record === undefined)
        continue
      const waiting = this.#out.get(frame)
      if (waiting !== undefined) {
        this.#out.delete(frame)
        waiting.item.failed = failed
        this.#list.again(waiting, nowMs)
        continue
      }
      this.#consumer.setAside(frame)
      const alone = frameAlone(frame, record, sequence)
      const held = { frame: alone, failed: action === 'behind' ? undefined : { ...failed, frame: alone } }
      const line = this.#policy().keepsOrder ? lineOf(frame.partition, record.key) : undefined
      const attempts = action === 'behind' ? 0 : Math.max(1, failure.attempts)
      this.#list.add({ item: held, line, attempts, bytes: alone.bytes.length + errorBytes }, nowMs)
    }
  }

  /** Takes what is due. Each is to be settled, held again, or given back. */
  take(nowMs: number): AloneFrame[] {
    return this.#list.take(nowMs, atOnceMax).map((waiting) => this.#give(waiting, false))
  }

  /** The same of whatever waits, for a last attempt. */
  takeForTheLast(): AloneFrame[] {
    return this.#list.take(Number.POSITIVE_INFINITY, atOnceMax).map((waiting) => this.#give(waiting, true))
  }

  /** What was taken is done with, whatever became of it. */
  settle(frame: TakenFrame, nowMs: number): void {
    const waiting = this.#out.get(frame)
    if (waiting === undefined) return
    this.#out.delete(frame)
    this.#consumer.settle(frame)
    this.#list.done(waiting, nowMs)
  }

  /** Puts back what was taken and not called. */
  giveBack(): void {
    for (const waiting of this.#out.values()) this.#list.putBack(waiting)
    this.#out.clear()
  }

  /** Settles all that waits, with no further attempt. @returns What the policy is to have its last word on. */
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

/** A record that was set aside and is given up with no further attempt. */
export function failedOf(
  { frame, failed, attempts }: Held,
  action: RecordFailure['action'],
  timeMs: number,
): Failed {
  const never = 'it waited behind an earlier record of its key when its instance ended'
  const error = failed?.failure.error ?? { name: 'Error', message: never, stack: '', timeMs }
  const failure = { index: 0, action, attempts, told: true, error }
  return locate([frame], [failure])[0]!
}
