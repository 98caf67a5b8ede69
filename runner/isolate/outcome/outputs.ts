/**
 * Outputs: the output streams of an assignment.
 * @module
 */
import type { FunctionAssignment } from '../../../infra/control/messages/assignment.ts'
import type { OutputConfig } from '../../../sdk/runtime/index.ts'
import { outputTable } from './output-table.ts'

/** The function's output streams, as the runtime needs them. */
export function outputsOf(
  assignment: FunctionAssignment,
): Record<string, { readonly partitions: number; readonly keyed: boolean }> {
  return Object.fromEntries(
    assignment.manifest.ostreams.map((name) => {
      const stream = assignment.streams[name]
      return [name, { partitions: stream?.partitions ?? 1, keyed: stream?.keyed ?? true }]
    }),
  )
}

/** The same as a table in the manifest's order. */
export function tableOf(assignment: FunctionAssignment): OutputConfig[] {
  return outputTable(assignment.manifest, outputsOf(assignment))
}

/** Whether an output changes from spreading over partitions to partitioning by key. */
export function isRegrouped(before: FunctionAssignment, after: FunctionAssignment): boolean {
  const [spread, now] = [outputsOf(before), outputsOf(after)]
  return Object.entries(now).some(([name, { keyed }]) => keyed && spread[name]?.keyed === false)
}
