/**
 * Bugs: faults to plant into the classes that share a batch, to show that the model would find them.
 * @module
 */
import { Canaries } from '../../../runner/canary/canaries.ts'
import { type Call, SharedBatch, type Turn } from '../../../runner/canary/shared-batch.ts'
import { Split } from '../../../runner/canary/split.ts'
import type { BatchResult } from '../../../runner/isolate/index.ts'
import { Succession } from '../../../runner/succession/succession.ts'

interface Fault {
  readonly what: string
  /** The invariant of life.ts that it violates. */
  readonly found: string
  readonly plant: () => () => void
}

export const bugs = {
  repeats: {
    what: 'a version goes over what it has done of its share',
    found: 'CN1',
    plant: () => turns((turn) => ({ ...turn, from: Math.max(0, turn.from - 1) })),
  },
  'goes-on': {
    what: 'the old version does not end where the canary has stopped',
    found: 'CN1',
    plant: () =>
      turns((turn) => {
        const { records: _, ...share } = turn.share ?? {}
        return turn.by === 'old' && turn.side !== undefined ? ({ ...turn, share } as Turn & Call) : turn
      }),
  },
  'calls-its-timers': {
    what: 'the canary calls timers of the old version, which one of them may have ended',
    found: 'CN7',
    plant: () =>
      turns((turn) => ({ ...turn, share: turn.share && { ...turn.share, withoutTimers: false } }) as Call),
  },
  'all-its-timers': {
    what: 'a timer that the canary threw at takes the others that are due along to the old version',
    found: 'CN8',
    plant: () => turns(({ isOne: _, ...turn }) => turn),
  },
  'hides-the-end': {
    what: 'the record at which the old version ended is done again by the canary',
    found: 'CN2',
    plant: () => results((result) => ({ ...result, recordAtHand: false })),
  },
  'hides-the-throw': {
    what: 'nobody does what the canary threw at',
    found: 'CN1',
    plant: () =>
      results(({ threw, ...result }) =>
        threw !== undefined && Number.isFinite(threw.index)
          ? { ...result, records: result.records + 1 }
          : result,
      ),
  },
  'still-there': {
    what: 'what the canary had in the state is not told as gone when it ends',
    found: 'CN6',
    plant: () => results(({ gone: _, ...result }) => result),
  },
  nobodys: {
    what: 'it is not told which records the canary has done',
    found: 'CN3',
    plant: () => {
      const real = Object.getOwnPropertyDescriptor(SharedBatch.prototype, 'result')!
      const get = function (this: SharedBatch): BatchResult {
        const { isCanarys: _, ...result } = real.get!.call(this) as BatchResult
        return { ...result, isCanarys: new Uint8Array(0) }
      }
      Object.defineProperty(SharedBatch.prototype, 'result', { get, configurable: true })
      return () => Object.defineProperty(SharedBatch.prototype, 'result', real)
    },
  },
  'keeps-what-was-awaited': {
    what: 'a canary that is taken away while its instance starts keeps what it has in the state',
    found: 'CN9',
    plant: () => over(Succession.prototype, 'settle', () => async () => undefined),
  },
  stays: {
    what: 'a canary that has been taken away goes on',
    found: 'CN3',
    plant: () =>
      over(
        Canaries.prototype,
        'want',
        (want) =>
          function (this: Canaries, ...args: Parameters<Canaries['want']>) {
            if (args[2].canary !== undefined) want.apply(this, args)
          },
      ),
  },
  'dies-with-it': {
    what: 'what an isolate has ended over, as it takes the state, is thrown',
    found: 'CN10',
    plant: () =>
      over(
        Split.prototype,
        'run',
        (run) =>
          async function (this: Split, ...args: Parameters<Split['run']>) {
            const result = await run.apply(this, args)
            if (result.fatal?.code === ('ERR_ISOLATE_LOST' as never)) throw result.fatal
            return result
          },
      ),
  },
} as const satisfies Record<string, Fault>

export type Bug = keyof typeof bugs

/** @returns Takes it out again. */
export function plant(bug: Bug): () => void {
  return bugs[bug].plant()
}

function turns(change: (turn: Call) => Turn): () => void {
  return over(
    SharedBatch.prototype,
    'next',
    (next) =>
      function (this: SharedBatch) {
        const turn = next.call(this)
        return turn?.kind === 'call' ? change(turn) : turn
      },
  )
}

function results(change: (result: BatchResult) => BatchResult): () => void {
  return over(
    SharedBatch.prototype,
    'took',
    (took) =>
      function (this: SharedBatch, result: BatchResult) {
        took.call(this, change(result))
      },
  )
}

function over<T extends object, K extends keyof T>(of: T, name: K, change: (real: T[K]) => T[K]): () => void {
  const real = of[name]
  of[name] = change(real)
  return () => {
    of[name] = real
  }
}
