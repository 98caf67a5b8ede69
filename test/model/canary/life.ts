/**
 * Life: an instance whose canaries come, work, end, are taken away and promoted, and which ends and begins again. The scheduler (wanted.ts),
 * the worker (worker.ts) and its isolates (isolate.ts) are small stand-ins. What must hold (account.ts):
 *
 *   CN1. A batch ends once, within itself, and each of its records that is done was done by one version, or failed once.
 *   CN2. What the old version has ended at is not tried again in that batch.
 *   CN3. The canary does what is its own, the old version the rest and what the canary threw at, and it is told who did what.
 *   CN4. Records of a key are done in order; only what is behind one that was set aside waits.
 *   CN5. The state has what was done, and nothing else.
 *   CN6. What went, or would go, with a canary is counted.
 *   CN7. A timer ends once, and the one at which its instance has ended is known.
 *   CN8. What only the canary threw at is held against it.
 *   CN9. It comes to rest: in the end all records are done, and without a canary no format is open.
 *   CN10. What an isolate ends over is the result of a batch, and not thrown.
 * @module
 */
import { setImmediate } from 'node:timers/promises'
import { ContainedRecords, type StatePositions } from '../../../infra/bus/receiving/contained.ts'
import { ManualClock } from '../../../infra/clock.ts'
import type { FunctionAssignment } from '../../../infra/control/messages/assignment.ts'
import { Split } from '../../../runner/canary/split.ts'
import { timedCall } from '../../../runner/canary/timed-call.ts'
import type { BatchResult } from '../../../runner/isolate/index.ts'
import { frame, record } from '../../../runner/isolate/testing/harness.ts'
import type { StateFormat } from '../../../sdk/function.ts'
import { must, Violation } from '../../simulation/violation.ts'
import { Account, partitionOf } from './account.ts'
import { SimIsolate } from './isolate.ts'
import { type Fortune, type Mishap, type Role, SimStore, type Spec } from './state.ts'
import { type Policy, WantedVersions } from './wanted.ts'
import { SimWorker } from './worker.ts'

export class Life {
  readonly #policy: Policy
  readonly #wanted: WantedVersions
  readonly #account = new Account()
  readonly #clock = new ManualClock()
  readonly #fortune: Fortune
  /** What the instance is made for, while it is made. */
  #starting: FunctionAssignment | undefined
  #worker: SimWorker
  /** Handed out and not done, by partition. */
  #left: Spec[][] = [[], []]
  #next = 0
  readonly #making: (() => void)[] = []
  #isSlow = false
  /** What the next instance begins with. */
  #store = new SimStore()
  #isOver = false
  readonly seen = { batches: 0, canaryEnds: 0, ends: 0, promotions: 0, settledAtStart: 0 }

  constructor(policy: Policy) {
    this.#policy = policy
    this.#wanted = new WantedVersions(policy)
    this.#fortune = {
      mishaps: {},
      fed: new Set(),
      onFired: (timer, by) => this.#account.timerEnds(timer, `fired by ${by}`),
      onEnded: (id, by) => this.#account.ended(id, by),
      onThrew: (what, by) => this.#account.threw(what, by),
    }
    this.#worker = this.#begin(undefined, this.#wanted.assignment)
  }

  /** The next to have to do with the state meets with this. */
  meet(role: Role, mishap: Mishap): void {
    this.#fortune.mishaps[role] = mishap
  }

  kill(role: Role): void {
    const { isolate } = this.#worker.running
    if (isolate instanceof Split) isolate[role].kill()
    else if (role === 'old') isolate.kill()
  }

  /** @param own Whether it has a format of its own. @param isSlow Its isolate is made when `made` is called. */
  async canary(percent: number, own: boolean, isSlow: boolean): Promise<void> {
    if (!this.#wanted.hasCanary) this.#isSlow = isSlow
    this.#wanted.canary(percent, own)
    await this.#want()
  }

  async takeAway(): Promise<void> {
    this.#wanted.takeAway()
    await this.#want()
  }

  async made(): Promise<void> {
    for (const make of this.#making.splice(0)) make()
    await setImmediate()
  }

  /** The canary gets all keys, and is found to be good. */
  async promote(): Promise<void> {
    const { isolate } = this.#worker.running
    if (!this.#wanted.hasCanary || this.#starting !== undefined || !(isolate instanceof Split)) return
    this.#wanted.promote()
    await this.#want()
    const next = this.#isolate('old', this.#wanted.format)
    const swapped = this.#worker.succession.swap(
      { isolate: next.asIsolate, assignment: this.#wanted.assignment },
      undefined,
      () => undefined,
    )
    const hasTakenOver = await this.#advance(swapped)
    if (!hasTakenOver) {
      this.#wanted.goBack()
      return await this.#want()
    }
    this.seen.promotions++
    this.#wanted.settle()
    await this.#advance(this.#worker.succession.describeFormat(this.#wanted.assignment))
  }

  /** The runner is killed between two batches, and another begins with what was stored just before. */
  async restart(): Promise<void> {
    if (this.#isOver) return
    const { state } = this.#worker.running.isolate
    await this.#again(state as unknown as SimStore)
  }

  /** The instance that begins has been made, for the assignment with which its making began. */
  async started(): Promise<void> {
    const made = this.#starting
    if (made === undefined) return
    this.#starting = undefined
    if (made.canary !== undefined && !this.#wanted.hasCanary) this.seen.settledAtStart++
    this.#worker = this.#begin(this.#worker.contained.with([]), made)
    await this.#want()
  }

  /** A batch of what is left and of these. */
  async batch(specs: readonly Omit<Spec, 'id'>[]): Promise<void> {
    for (const spec of specs) {
      const id = this.#next++
      this.#left[partitionOf(spec.key)]!.push({ ...spec, id })
    }
    if (this.#isOver || this.#starting !== undefined) return
    if (!(await this.#advance())) return
    this.#clock.advance(10)
    const nowMs = this.#clock.monotonicMs()
    const { isolate } = this.#worker.running
    const split = isolate instanceof Split ? isolate : undefined
    if (isolate.isEnded) return await this.#again(isolate.state as unknown as SimStore) // a worker ends here
    const frames = this.#left.flatMap((left, partition) =>
      left.length === 0
        ? []
        : [
            frame(
              left.map((spec) => record(JSON.stringify(spec), spec.key)),
              partition,
            ),
          ],
    )
    const given = this.#left.flat()
    const toldBefore = this.#worker.regressions
    const run = (): Promise<BatchResult> =>
      isolate.run(frames, nowMs, { lines: [...this.#account.aside] }).catch(({ message }: Error) => {
        throw new Violation('CN10', `thrown: ${message}`)
      })
    const result =
      split !== undefined ? await run() : (await timedCall(isolate.holder, () => nowMs, run)).result
    const told = this.#worker.regressions - toldBefore
    this.seen.batches++
    this.#worker.tell(frames, result)
    if (result.gone !== undefined) this.seen.canaryEnds++
    this.#account.judge(given, result, split, (key) => this.#wanted.isCanarys(key))
    const regressions = this.#account.regressionsIn(result)
    if (split !== undefined && this.#wanted.hasCanary)
      must(
        told === regressions,
        'CN8',
        () => `${told} are held against the canary, it threw at ${regressions}`,
      )
    this.#left = this.#left.map((left) => left.filter((spec) => !this.#account.isOver(spec)))
    if (result.fatal !== undefined) await this.#end(given, result)
    else await this.#advance()
    this.#judgeState()
  }

  /** Takes the canary away, and does all that is left. */
  async rest(): Promise<void> {
    await this.started()
    await this.made()
    await this.takeAway()
    for (let i = 0; i < 10_000 && !this.#isOver; i++) {
      await this.batch([])
      await this.started()
      if (this.#left.flat().length === 0) break
    }
    await this.#advance()
    if (this.#isOver) return
    await this.#advance()
    this.#judgeState()
    const left = this.#left.flat()
    must(left.length === 0, 'CN9', () => `not done in the end: ${left.map(({ id }) => id)}`)
    const { open } = this.#worker.contained.with([])
    must(open === undefined, 'CN9', () => 'a format is open without a canary')
  }

  #judgeState(): void {
    const state = this.#worker.running.isolate.state as unknown as SimStore
    if (state.isLost || this.#isOver || this.#starting !== undefined) return
    this.#account.judgeState(state, this.#worker.contained.with([]))
  }

  /** The instance has ended: another begins where it stopped. */
  async #end(given: readonly Spec[], result: BatchResult): Promise<void> {
    this.seen.ends++
    const { isolate } = this.#worker.running
    must(isolate.isEnded, 'CN1', () => 'something runs behind a fatal result')
    const store = isolate.state as unknown as SimStore
    if (!(await isolate.ended()) || store.isLost) {
      this.#isOver = true
      return
    }
    const atHand = given[result.records]
    if (result.recordAtHand === true && atHand !== undefined) this.#account.giveUp(atHand)
    const { timerAtHand } = result
    if (timerAtHand !== undefined) {
      const timer = store.timers.find((one) => one === timerAtHand)
      if (timer === undefined) throw new Violation('CN7', 'a timer that has ended its instance is not set')
      store.timers = store.timers.filter((one) => one !== timer)
      this.#account.timerEnds(timer, 'given up')
    }
    this.#left = this.#left.map((left) => left.filter((spec) => !this.#account.isOver(spec)))
    await this.#again(store)
  }

  async #again(store: SimStore): Promise<void> {
    this.#isOver ||= store.isLost
    this.#worker.end()
    this.#store = store
    this.#account.again()
    this.#starting = this.#wanted.assignment
    await this.made()
  }

  #begin(contained: StatePositions | undefined, assignment: FunctionAssignment): SimWorker {
    const canary = async (fn: FunctionAssignment): Promise<SimIsolate> => {
      if (this.#isSlow) await new Promise<void>((resolve) => this.#making.push(resolve))
      return this.#isolate('canary', fn.format!)
    }
    const isolate = new SimIsolate('old', assignment.format!, this.#policy, this.#fortune, this.#store)
    return new SimWorker(isolate, assignment, new ContainedRecords(contained), this.#clock, canary)
  }

  #isolate(role: Role, format: StateFormat): SimIsolate {
    return new SimIsolate(role, format, this.#policy, this.#fortune)
  }

  async #want(): Promise<void> {
    if (this.#starting !== undefined) return
    this.#worker.want(this.#wanted.assignment)
    await setImmediate()
  }

  /** @returns Whether the instance goes on. */
  async #advance(what?: Promise<unknown>): Promise<boolean> {
    if (this.#isOver || this.#starting !== undefined) return false
    const goesOn = await this.#worker.advance(what)
    this.#isOver = goesOn === 'lost'
    return goesOn === true
  }
}
