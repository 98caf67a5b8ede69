import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

/** A process that takes the lock, says so, and keeps it until its input ends. */
function holder(t: TestContext, path: string): ChildProcess {
  const source = `import { withLock } from ${JSON.stringify(join(import.meta.dirname, 'lock.mjs'))}
    await withLock(${JSON.stringify(path)}, async () => { console.log('held'); for await (const _ of process.stdin); })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  return child
}

test('withLock lets one process work at a time, and the next one when the first was killed (B5 of setup.mjs)', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'lock-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'tools', 'lock')
  const first = holder(t, path)
  await once(first.stdout!, 'data')
  const second = holder(t, path)
  const secondHeld = once(second.stdout!, 'data').then(() => 'second')
  // A third that does not wait proves that the lock is taken, without a pause.
  const probe = spawn('flock', ['--nonblock', path, 'true'])
  assert.equal((await once(probe, 'exit'))[0], 1)

  first.kill('SIGKILL')
  assert.equal(await secondHeld, 'second')
  second.stdin!.end()
  assert.deepEqual(await once(second, 'exit'), [0, null])
})
