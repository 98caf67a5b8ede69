/**
 * Collect: makes V8 collect all garbage of an isolate and release its pages.
 *
 * After the start of a packed instance, and when memory is short. This uses V8's inspector. The alternative, `--expose-gc`, puts a global into every context made while the flag is
 * set, on any thread, and no code can remove it. The function's context is not visible to the inspector.
 *
 *   CO1. When this returns, nothing of the inspector session is left; until then the isolate must not be disposed of.
 *        With an open session its thread would wait for itself for ever, and so would the disposer. With an
 *        unanswered session, or one whose end has not reached the isolate's thread, the process dies (isolated-vm 7,
 *        `src/isolate/inspector.cc`).
 * @module
 */
import type { InspectorSession, Isolate } from 'isolated-vm'

/**
 * Collects between two calls; takes some milliseconds.
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
