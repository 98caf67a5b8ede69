/**
 * Collect: has V8 collect all the garbage of an isolate, and give back its pages.
 *
 * V8's inspector is asked for it: its other collector (`--expose-gc`) is a global of each context that is made while it is wanted, on
 * whatever thread, and no code can take it out again. The function's context is not told to the inspector, and no session outlives this.
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
}
