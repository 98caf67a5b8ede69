/**
 * What differs between the partitions of two assignments.
 * @module
 */
import type { InstanceAssignment } from '../infra/control/messages.ts'

export type PartitionsByStream = ReadonlyMap<string, readonly number[]>

/** What `these` has, by stream, and `others` has not. */
export function lacking(
  these: InstanceAssignment['partitions'],
  others: InstanceAssignment['partitions'],
): Map<string, readonly number[]> {
  const rows = Object.entries(these).map(
    ([stream, list]) => [stream, list.filter((p) => others[stream]?.includes(p) !== true)] as const,
  )
  return new Map(rows.filter(([, list]) => list.length > 0))
}
