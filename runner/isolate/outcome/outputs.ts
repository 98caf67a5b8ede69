/**
 * Outputs: what an assignment says of the streams that a function writes.
 * @module
 */
import type { FunctionAssignment } from '../../../infra/control/messages.ts'
import type { OutputConfig } from '../../../sdk/runtime/index.ts'
import { outputTable } from './output-table.ts'

/** The streams that the function may write, as the runtime needs them. */
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

/** The same as its manifest counts them. */
export function tableOf(assignment: FunctionAssignment): OutputConfig[] {
  return outputTable(assignment.manifest, outputsOf(assignment))
}

/** Whether an output that was spread over partitions goes by key from now on. */
export function isRegrouped(before: FunctionAssignment, after: FunctionAssignment): boolean {
  const [spread, now] = [outputsOf(before), outputsOf(after)]
  return Object.entries(now).some(([name, { keyed }]) => keyed && spread[name]?.keyed === false)
}
