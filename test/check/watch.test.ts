import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { findLeftovers } from './leftovers.ts'

test('startWatch ends what a run has started when the run is killed, and takes its folder away (V6)', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'watched-'))
  const run = `
    import { spawn } from 'node:child_process'
    import { startWatch } from ${JSON.stringify(join(import.meta.dirname, 'watch.ts'))}
    startWatch(${JSON.stringify(folder)})
    const env = { ...process.env, TMPDIR: ${JSON.stringify(folder)} }
    const child = spawn('sleep', ['600'], { env, detached: true, stdio: 'ignore' })
    child.once('spawn', () => console.log(child.pid))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', run], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const pid = Number(String((await once(child.stdout!, 'data'))[0]))
  const left = (): boolean => findLeftovers(folder).some((one) => one.pid === pid)
  assert.ok(left())
  child.kill('SIGKILL')
  while (left() || existsSync(folder)) await setTimeout(20)
})
