/**
 * HeldBackText: names the functions that hold back a stream because they do not run, or are too slow.
 * @module
 */
import type { HeldBack } from '../../api/index.ts'
import { lagText } from './lag-text.ts'

/** A line for each; an earlier gateway reports none. */
export function heldBackText(heldBackBy: readonly HeldBack[] = []): string {
  return heldBackBy
    .map(({ stream, function: name, instancesRunning, instancesWanted, records, lagMs = 0, cause }) => {
      const run = `${instancesRunning} of ${instancesWanted} instances run`
      const since = lagMs === 0 ? '' : `, ${records === 1 ? '' : 'the oldest '}for ${lagText(lagMs)}`
      const wait = records === 1 ? '1 record waits' : `${records} records wait`
      if (cause === 'heldBack')
        return `${stream} is held back by ${name}, whose readers are behind: ${wait} for it${since} (\`concord fn why ${name}\`)`
      if (cause === 'slow')
        return `${stream} is held back by ${name}, which is behind: ${wait} for it${since} (\`concord fn scale ${name} N\`)`
      return `${stream} is held back by ${name}: ${run}, and ${wait} for it${since}; once 8 MiB do, everybody waits (\`concord fn why ${name}\`)`
    })
    .join('\n')
}
