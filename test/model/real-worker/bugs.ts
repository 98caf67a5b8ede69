/**
 * Bugs: faults to plant into a worker, to show that the model would find them.
 * @module
 */
import { Consumer, Producer } from '../../../infra/bus/index.ts'
import { StateKeeper } from '../../../runner/checkpoint/state-keeper.ts'
import { Acknowledger } from '../../../runner/instance/acknowledger.ts'
import { SingleIsolate } from '../../../runner/isolate/index.ts'

interface Fault {
  readonly what: string
  /** The invariant of life.ts that it violates. */
  readonly found: string
  /** A seed that finds it soon; default: that of all. */
  readonly from?: number
  /** @returns Takes it out again. */
  readonly plant: () => () => void
}

export const bugs: readonly Fault[] = [
  {
    what: 'what a killed instance had done since its checkpoint is not counted',
    found: 'RW1',
    plant: () => over(StateKeeper.prototype, 'contains', () => () => undefined),
  },
  {
    what: 'records are acknowledged before the store knows of a state that has begun',
    found: 'RW1',
    plant: () => over(StateKeeper.prototype, 'begin', () => () => undefined),
  },
  {
    what: 'what goes unasked is not stored before it is released',
    found: 'RW4',
    from: 2,
    plant: () => over(StateKeeper.prototype, 'storeSoon', () => async () => false),
  },
  {
    what: 'what goes with a first state that the store did not take is not counted',
    found: 'RW1',
    plant: () =>
      over(Consumer.prototype, 'giveUp', (giveUp) => {
        return function (this: Consumer, reason, isLost) {
          if (reason !== 'unstored') giveUp.call(this, reason, isLost)
        }
      }),
  },
  {
    what: 'a record is done with before its dead letter is stored',
    found: 'RW3',
    plant: () =>
      over(Acknowledger.prototype, 'await', (wait) => {
        return function (this: Acknowledger, { frames }) {
          wait.call(this, { frames, answers: Promise.resolve(frames.map(() => true)) })
        }
      }),
  },
  {
    what: 'the last record of a batch is done again',
    found: 'RW2',
    plant: () =>
      over(
        SingleIsolate.prototype,
        'run',
        (run) =>
          async function (this: SingleIsolate, ...args: Parameters<SingleIsolate['run']>) {
            const result = await run.apply(this, args)
            const isAgain = result.records > 1 && result.failures.length === 0 && !result.pending
            return isAgain ? { ...result, records: result.records - 1 } : result
          },
      ),
  },
  {
    what: 'outputs of an owner that was replaced are taken',
    found: 'RW5',
    plant: () => over(Producer.prototype, 'fence', () => () => undefined),
  },
  {
    what: 'who leaves acknowledges what was sent, also where it is refused',
    found: 'RW6',
    from: 2,
    plant: () => over(Producer.prototype, 'accepted', () => async () => undefined),
  },
]

/** Replaces a method. @returns Puts it back. */
export function over<T extends object, K extends keyof T>(
  of: T,
  name: K,
  change: (real: T[K]) => T[K],
): () => void {
  const real = of[name]
  of[name] = change(real)
  return () => {
    of[name] = real
  }
}
