/**
 * Watch: a process that outlives the run of tests, however that ends, and then ends what it has left.
 *
 * `npm test` ends its leftovers itself; of one that was killed nobody would. The watch holds the end of a pipe, and the kernel closes
 * the other with the run.
 *
 *  V6. What a run has started ends with it, even if the run is killed; and its temporary folder goes.
 * @module
 */
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { endLeftovers } from './leftovers.ts'

/** Starts one for this process. @param folder The run's temporary folder, whose name marks all that it starts. */
export function startWatch(folder: string): void {
  // The folder goes over the pipe: on the command line it would make the watch a leftover.
  const watch = spawn(process.execPath, [import.meta.filename], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // a signal for the group of the run is not for it
  })
  watch.stdin.on('error', () => undefined)
  watch.stdin.write(folder)
  watch.unref()
  ;(watch.stdin as unknown as { unref(): void }).unref()
}

if (import.meta.main) {
  const folder = await text(process.stdin)
  if (folder === '') process.exit() // the run was killed before it had said which: it has started nothing
  await endLeftovers(folder, { graceMs: 0 })
  if (process.env['CONCORD_TEST_KEEP'] === undefined) rmSync(folder, { recursive: true, force: true })
}
