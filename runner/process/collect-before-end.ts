/**
 * CollectBeforeEnd: the last garbage collection of a thread or process that has had isolates, just before it ends in order.
 *
 * When V8 takes a heap down while marking is under way, it finishes that collection and tells isolated-vm of each object of its that it
 * finds. By then isolated-vm has left the thread, and its assertion (`environment != nullptr`) aborts the process, whether or not the
 * isolates were disposed of. After a collection of the whole heap no marking is under way, until much has been allocated anew; one of
 * its young part is no help. A runner itself ends by SIGKILL, and needs none.
 * @module
 */
import { Session } from 'node:inspector/promises'

/** By way of the inspector: a flag of V8 (garbage.ts) would hold for all threads, and show `gc` to functions. */
export async function collectBeforeEnd(): Promise<void> {
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.collectGarbage')
  session.disconnect()
}
