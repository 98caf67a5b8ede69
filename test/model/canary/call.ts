/**
 * SimCall: one call on a batch of an isolate of the model.
 * @module
 */
import {
  type BatchResult,
  behind,
  type InputFrame,
  type RecordFailure,
} from '../../../runner/isolate/index.ts'
import { lineOf, type Timer } from '../../../sdk/runtime/index.ts'
import { recordsOf } from '../../../sdk/wire/frame.ts'
import { type KeyShare, pointOf } from '../../../sdk/wire/key-share.ts'
import type { SimIsolate } from './isolate.ts'
import type { Fate, SetTimer, Spec } from './state.ts'

const utf8 = new TextDecoder()
const bytesOf = new TextEncoder()

type Sum = { -readonly [K in keyof BatchResult]: BatchResult[K] } & { failures: RecordFailure[] }

export class SimCall {
  readonly #of: SimIsolate
  readonly #nowMs: number
  readonly #lines: Set<string>
  readonly #share: KeyShare | undefined
  /** How many records it goes over. */
  #most: number
  /** What is left while a callback waits. */
  #rest: readonly InputFrame[] = []

  constructor(of: SimIsolate, nowMs: number, lines: readonly string[], share: KeyShare | undefined) {
    this.#of = of
    this.#nowMs = nowMs
    this.#lines = new Set(lines)
    this.#share = share
    this.#most = share?.records ?? Number.POSITIVE_INFINITY
  }

  run(frames: readonly InputFrame[], isOne: boolean): BatchResult {
    const timers = this.#share?.withoutTimers === true ? [] : this.#of.state.timers
    const due = timers.filter(({ timeMs, key }) => timeMs <= this.#nowMs && isIn(this.#share, key))
    const sum = nothing()
    for (const timer of due) if (!this.#fire(timer, sum) || isOne) return sum
    return this.#records(frames, sum)
  }

  resume(): BatchResult {
    return this.#records(this.#rest, nothing())
  }

  /** @returns Whether the batch goes on. */
  #fire(timer: SetTimer, sum: Sum): boolean {
    const fate = timer.fates[this.#of.role]
    const what = `timer ${timer.id}`
    const isGone = (): void => {
      this.#of.state.timers = this.#of.state.timers.filter((one) => one !== timer)
    }
    if (fate === 'starves' && this.#starves(what)) return false
    if (fate === 'throws') return this.#throws(what, Number.POSITIVE_INFINITY, sum, timer, isGone)
    if (fate === 'ends' || fate === 'walk' || fate === 'late') {
      Object.assign(sum, { fatal: this.#late(fate), recordAtHand: false, timerAtHand: timer })
      return false
    }
    isGone()
    sum.timersFired++
    this.#of.fortune.onFired(timer, this.#of.role)
    return fate !== 'slice'
  }

  #records(frames: readonly InputFrame[], sum: Sum): BatchResult {
    for (const spec of specsOf(frames)) {
      if (sum.records >= this.#most) break
      const fate = spec.fates[this.#of.role]
      const isOwn = isIn(this.#share, spec.key)
      if (fate === 'walk' && (!isOwn || this.#share === undefined)) {
        Object.assign(sum, { fatal: this.#of.end('ERR_MEMORY'), recordAtHand: true })
        return sum
      }
      if (!isOwn || this.#lines.has(spec.line)) {
        if (isOwn) sum.failures.push(failure(sum.records, 'behind'))
        else sum.elsewhere++
        sum.records++
        continue
      }
      const what = `record ${spec.id}`
      if (fate === 'starves' && this.#starves(what)) return sum
      if (fate === 'ends' || fate === 'late') {
        this.#of.fortune.onEnded(spec.id, this.#of.role)
        return Object.assign(sum, { fatal: this.#late(fate), recordAtHand: true })
      }
      if (fate === 'throws') {
        if (this.#of.role === 'old' && this.#of.policy === 'setAside') this.#lines.add(spec.line)
        if (!this.#throws(what, sum.records, sum)) return sum
        sum.records++
        continue
      }
      this.#do(spec, sum)
      if (fate === 'slice') return sum
      if (fate !== 'waits') continue
      this.#most -= sum.records
      this.#rest = behind(frames, sum.records)
      return Object.assign(sum, { pending: true })
    }
    return sum
  }

  #do(spec: Spec, sum: Sum): void {
    const { id, key, timer } = spec
    const done = { id, key, by: this.#of.role }
    this.#of.state.done.push({ ...done, format: this.#of.format.own })
    if (timer !== undefined)
      this.#of.state.timers.push({ ...timer, id, partition: 0, timeMs: this.#nowMs + 10 })
    const before = sum.outputs()
    sum.outputs = () => [...before, done as never]
    sum.records++
    sum.recordsOut++
  }

  /** @returns Whether the batch goes on. */
  #throws(what: string, index: number, sum: Sum, timer?: SetTimer, settle = (): void => undefined): boolean {
    this.#of.fortune.onThrew(what, this.#of.role)
    if (this.#of.role === 'canary') {
      sum.threw = failure(index, 'fail', timer)
      return false
    }
    settle()
    const action = this.#of.policy === 'setAside' && timer !== undefined ? 'skip' : this.#of.policy
    sum.failures.push(failure(index, action, timer))
    if (action !== 'fail') {
      if (timer !== undefined) sum.timersFired++
      return true
    }
    Object.assign(sum, { fatal: this.#of.end('ERR_FUNCTION_FAILED'), recordAtHand: timer === undefined })
    return false
  }

  #late(fate: Fate): Error {
    return this.#of.end('ERR_DEADLINE', fate === 'late' ? { starved: true } : {})
  }

  #starves(what: string): boolean {
    const { fed } = this.#of.fortune
    if (fed.has(`${this.#of.role} ${what}`)) return false
    fed.add(`${this.#of.role} ${what}`)
    return true
  }
}

export function isIn(share: KeyShare | undefined, key: string): boolean {
  if (share === undefined) return true
  const bytes = bytesOf.encode(key)
  const point = pointOf(bytes, 0, bytes.length, share.salt)
  return point >= share.from && point < share.to
}

function specsOf(frames: readonly InputFrame[]): (Spec & { readonly line: string })[] {
  return frames.flatMap(({ bytes, header, skip, partition }) =>
    [...recordsOf(bytes, header)].slice(skip).map(({ key, value }) => ({
      ...(JSON.parse(utf8.decode(value)) as Spec),
      line: lineOf(partition, key),
    })),
  )
}

function failure(index: number, action: RecordFailure['action'], timer?: Timer): RecordFailure {
  const error = { name: 'Error', message: 'thrown', stack: '', timeMs: 0 }
  return { index, action, attempts: 1, told: true, error, ...(timer && { timer }) }
}

function nothing(): Sum {
  return {
    records: 0,
    outputs: () => [],
    failures: [],
    timersFired: 0,
    retries: 0,
    recordsOut: 0,
    elsewhere: 0,
    pending: false,
  }
}
