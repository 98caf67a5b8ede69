/**
 * HeldBackText: names the functions that hold back a stream because they do not run.
 * @module
 */
import type { HeldBack } from '../../api/index.ts'

/** A line for each; an earlier gateway reports none. */
export function heldBackText(heldBackBy: readonly HeldBack[] = []): string {
  return heldBackBy
    .map(({ stream, function: name, instancesRunning, instancesWanted, records }) => {
      const run = `${instancesRunning} of ${instancesWanted} instances run`
      const wait = records === 1 ? '1 record waits' : `${records} records wait`
      return `${stream} is held back by ${name}: ${run}, and ${wait} for it; once 8 MiB do, everybody waits (\`concord fn why ${name}\`)`
    })
    .join('\n')
}
