/**
 * Renewal: replaces an isolate whose heap stays near its limit by a fresh one, between two batches. State and timers
 * pass over in place (change-over.ts); module-level variables are lost, which is the purpose.
 * Design: docs/design/0018-limits.md
 * @module
 */
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import type { LogLine } from '../../sdk/api/index.ts'
import type { Worker } from '../instance/worker.ts'
import type { SingleIsolate } from '../isolate/index.ts'

export interface RenewalOptions {
  readonly worker: Worker
  readonly heapBytes: number
  readonly make: (fn: FunctionAssignment) => Promise<SingleIsolate>
  readonly log: (level: LogLine['level'], message: string) => void
}

export async function renew({ worker, heapBytes, make, log }: RenewalOptions): Promise<void> {
  const { assignment } = worker.running
  const { heapMib } = assignment.manifest.limits
  const found = `its heap stays at ${Math.round(heapBytes / 2 ** 20)} MiB of the ${heapMib} that it may have (limits.heapMib)`
  try {
    const isolate = await make(assignment)
    const before = await worker.replace({ isolate, assignment }).catch((error: unknown) => {
      isolate.kill()
      throw error
    })
    log(
      'warn',
      `${found}: a fresh isolate has taken over, without its module-level variables: they had filled it, or the texts of large batches, which count as well`,
    )
    await before.isolate.destroy()
  } catch (error) {
    log('warn', `${found}, and no fresh isolate could take over: ${(error as Error).message}`)
  }
}
