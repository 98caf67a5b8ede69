/**
 * Testing: the surroundings of a ShareMover.
 * @module
 */
import { ManualClock } from '../../infra/clock.ts'
import type { FunctionAssignment, InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import type { Isolate } from '../isolate/index.ts'
import type { ShareMoverOptions } from './share-mover.ts'

/** A function with one input of two partitions, and the instance that is to give the second away. */
export const assigned = {
  function: 'f',
  groupings: { in: 'groupBy' },
  streams: { in: { partitions: 2 } },
  manifest: { ostreams: [] },
} as never as FunctionAssignment
export const givingOne = {
  index: 0,
  epoch: 1,
  partitions: { in: [0, 1] },
  giving: [{ share: 1, epoch: 2 }],
} as never as InstanceAssignment

export const nothing = (): void => undefined

/** The surroundings of an instance at work that nobody stops, gives to or asks. */
export function working(
  parts: Pick<ShareMoverOptions, 'consumer' | 'producer'> & Partial<ShareMoverOptions>,
): ShareMoverOptions {
  return {
    ...{ namespace: 'n', clock: new ManualClock(), stopping: new AbortController().signal },
    isolate: () => ({ keepPartitions: nothing }) as never as Isolate,
    keeper: undefined,
    ask: () => Promise.reject(new Error('it asks for nothing')),
    between: (run) => run(),
    drop: nothing,
    endAside: async () => undefined,
    lettersSafe: async () => true,
    ...{ onOwn: nothing, onMoved: nothing, onTrouble: nothing },
    ...parts,
  }
}
