import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

const module = new URL('./collect-before-end.ts', import.meta.url).href

/** A thread that has had isolates, and in which V8 has begun to mark. */
const thread = `
import { parentPort } from 'node:worker_threads'
import ivm from 'isolated-vm'
import { collectBeforeEnd } from '${module}'
const held = []
for (let i = 0; i < 4; i++) {
  const isolate = new ivm.Isolate()
  const context = await isolate.createContext()
  await context.eval('1')
  isolate.dispose()
}
for (let i = 0; i < 3; i++) held.push(new ArrayBuffer(60_000_000))
await collectBeforeEnd()
parentPort.postMessage('done')`

const threads = `
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
for (let i = 0; i < 10; i++) {
  const worker = new Worker(${JSON.stringify(thread)}, { eval: true })
  const ended = once(worker, 'exit')
  await once(worker, 'message')
  void worker.terminate()
  await ended
}`

test('collectBeforeEnd lets a thread that has had isolates end without the process', () => {
  // Without the flag, other threads help to mark, and the ten would often be done in time.
  const flags = ['--no-node-snapshot', '--no-concurrent-marking', '--input-type=module']
  const { status, signal, stderr } = spawnSync(process.execPath, [...flags, '--eval', threads], {
    encoding: 'utf8',
  })
  assert.deepEqual([status, signal], [0, null], stderr)
})
