/**
 * Account: what became of each record and timer, judged after every batch.
 * @module
 */
import type { StatePositions } from '../../../infra/bus/receiving/contained.ts'
import type { Split } from '../../../runner/canary/split.ts'
import type { BatchResult } from '../../../runner/isolate/index.ts'
import { lineOf as asideLine } from '../../../sdk/runtime/index.ts'
import { must } from '../../simulation/violation.ts'
import type { Done, Role, SetTimer, SimStore, Spec } from './state.ts'

export class Account {
  /** What waits for records that were set aside. */
  readonly aside = new Set<string>()
  /** What became of each record. */
  readonly #ends = new Map<number, string>()
  readonly #timers = new Map<number, string>()
  /** What the canary threw at, and has not been done since. */
  readonly #thrown = new Set<string>()
  /** What the old version has ended at: nobody is to try it again in that batch. */
  readonly #broke = new Set<number>()

  isOver({ id }: Pick<Spec, 'id'>): boolean {
    return this.#ends.has(id)
  }

  threw(what: string, by: Role): void {
    if (by === 'canary') this.#thrown.add(what)
  }

  ended(id: number, by: Role): void {
    if (by === 'old') this.#broke.add(id)
  }

  /** Another instance begins: it knows nothing of this one's batches. */
  again(): void {
    this.#thrown.clear()
    this.#broke.clear()
    this.aside.clear()
  }

  /** It has ended its instance. */
  giveUp({ id }: Spec): void {
    this.#ends.set(id, 'given up')
  }

  /** @param split Absent: there is no canary. @param isCanarys Whose a key is. */
  judge(
    given: readonly Spec[],
    result: BatchResult,
    split: Split | undefined,
    isCanarys: (key: string) => boolean,
  ): void {
    const { records, failures, fatal } = result
    const done = result.outputs() as unknown as Done[]
    must(records <= given.length && !result.pending, 'CN1', () => 'a batch ends once, within itself')
    const ends = new Map<number, string[]>(given.map(({ id }) => [id, []]))
    for (const { id, by } of done) {
      ends.get(id)!.push(by)
      must(!this.#broke.has(id), 'CN2', () => `record ${id} is tried again`)
    }
    for (const { index, action, isDone } of failures) {
      if (!Number.isFinite(index)) continue
      const isAtEnd = action === 'fail' && isDone !== true
      const isThere = isAtEnd ? index === records && fatal !== undefined : index < records
      must(isThere, 'CN1', () => `${action} of ${index} of ${records}`)
      ends.get(given[index]!.id)!.push(action)
      if (action === 'setAside') this.aside.add(lineOf(given[index]!.key))
    }
    for (const [index, { id, key }] of given.entries()) {
      const what = ends.get(id)!
      const isDone = index < records || (what[0] === 'fail' && index === records)
      const told = (): string => `${what.join(', ') || 'nothing'}; ${records} of ${given.length} are done`
      must(what.length === (isDone ? 1 : 0), 'CN1', () => `record ${id}: ${told()}`)
      if (!isDone) continue
      this.#ends.set(id, what[0]!)
      const isTold = result.isCanarys?.[index] === 1
      if (split !== undefined && done.some((one) => one.id === id))
        must(isTold === (what[0] === 'canary'), 'CN3', () => `who has done record ${id}`)
      if (split !== undefined && fatal === undefined) this.#judgeWho(id, what[0]!, split, isCanarys(key))
      if (what[0] === 'behind')
        must(this.aside.has(lineOf(key)), 'CN4', () => `record ${id} waits for one that is set aside`)
    }
    for (const key of new Set(done.map(({ key: each }) => each))) {
      const ids = done.filter((one) => one.key === key).map(({ id }) => id)
      const isOrdered = ids.every((id, i) => id > (ids[i - 1] ?? -1))
      must(isOrdered, 'CN4', () => `the order of ${key}: ${ids}`)
    }
    if (fatal !== undefined && result.timerAtHand === undefined) return
    for (const failed of failures.filter(({ timer }) => timer !== undefined))
      this.timerEnds(failed.timer as SetTimer, failed.action)
  }

  /** Records and timers that the canary threw at, and the old one has done since. */
  regressionsIn(result: BatchResult): number {
    const done = (result.outputs() as unknown as Done[])
      .filter(({ by }) => by === 'old')
      .map(({ id }) => `record ${id}`)
    const fired = [...this.#timers].filter(([, how]) => how === 'fired by old').map(([id]) => `timer ${id}`)
    return [...done, ...fired].filter((what) => this.#thrown.delete(what)).length
  }

  #judgeWho(id: number, who: string, split: Split, isCanarys: boolean): void {
    if (who === 'canary') must(isCanarys, 'CN3', () => `record ${id} is not the canary's`)
    else if (isCanarys && !split.canary.isEnded) {
      const isLeft = this.#thrown.has(`record ${id}`) || who === 'behind'
      must(isLeft, 'CN3', () => `record ${id} is not the old one's`)
    }
  }

  /** Nothing is lost of state, and nothing is counted but what is. */
  judgeState(state: SimStore, { lost, open }: StatePositions): void {
    const has = [...state.done.map(({ id }) => id), ...state.voided].toSorted((a, b) => a - b)
    const done = [...this.#ends].filter(([, end]) => end === 'old' || end === 'canary').map(([id]) => id)
    const wanted = done.toSorted((a, b) => a - b)
    must(String(has) === String(wanted), 'CN5', () => `the state has ${has}, done are ${wanted}`)
    must(
      lost === state.voided.length,
      'CN6',
      () => `${state.voided.length} went with a canary, ${lost} counted`,
    )
    const inOpen = state.done.filter((one) =>
      state.rows.some((row) => row?.state === 'open' && row.format === one.format),
    )
    const counted = open?.records ?? 0
    must(
      counted === inOpen.length,
      'CN6',
      () => `${inOpen.length} would go with a canary, ${counted} counted`,
    )
  }

  timerEnds(timer: SetTimer, how: string): void {
    must(!this.#timers.has(timer.id), 'CN7', () => `the timer of ${timer.id} ends once: ${how}`)
    this.#timers.set(timer.id, how)
  }
}

export function partitionOf(key: string): number {
  return Number(key.at(-1)) % 2
}

function lineOf(key: string): string {
  return asideLine(partitionOf(key), new TextEncoder().encode(key))
}
