/**
 * Difference: what an instance gives up, and takes at once, where it is told of other partitions. Pure.
 * Design: docs/design/0011-handover.md
 * @module
 */
import type { InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import { lacking, type PartitionsByStream, withPartitions } from '../checkpoint/partitions.ts'

/** What an assignment says that matters here. */
export type Told = Pick<InstanceAssignment, 'partitions' | 'giving' | 'awaited'>

/**
 * What it has and is not to keep until it is asked for, and what it lacks and is to have at once. A share that it has taken
 * is still awaited in an assignment that was made before the scheduler heard of that: it stays.
 */
export function differenceOf(
  owned: InstanceAssignment['partitions'],
  { partitions, giving = [], awaited = [] }: Told,
  partitionsOf: (share: number) => PartitionsByStream,
): { readonly gone: PartitionsByStream; readonly come: PartitionsByStream } {
  const kept = [...giving, ...awaited].reduce(
    (all, { share }) => withPartitions(all, partitionsOf(share)),
    partitions,
  )
  return { gone: lacking(owned, kept), come: lacking(partitions, owned) }
}
