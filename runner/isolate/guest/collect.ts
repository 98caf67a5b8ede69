/**
 * Collect: has V8 collect all the garbage of an isolate, and give back its pages.
 *
 * V8's inspector is asked for it: its other collector (`--expose-gc`) is a global of each context that is made while it is wanted, on
 * whatever thread, and no code can take it out again. The function's context is not told to the inspector.
 *
 *   CO1. When this is over nothing of the session is left, and before it is over the isolate is not to be disposed of. With a session open
 *        its thread waits for itself for ever, and so does who disposes of the session then; with one that was not answered, or whose
 *        end has not reached the isolate's thread, the process dies (isolated-vm 7, `src/isolate/inspector.cc`).
 * @module
 */
import type { InspectorSession, Isolate } from 'isolated-vm'

/**
 * Between two calls. Takes some milliseconds.
 * @param isolate One that was made with an inspector.
 */
export async function collect(isolate: Isolate): Promise<void> {
  const session: InspectorSession = isolate.createInspectorSession()
  const collected = new Promise<void>((resolve) => {
    session.onResponse = () => resolve()
  })
  session.dispatchProtocolMessage(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' }))
  await collected
  session.dispose()
  await isolate.getHeapStatistics() // goes behind the session's end
}
