import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { endProcess, isAlive, processEnded, processId, processWith, signalProcess } from './process.ts'

/** A process that says when its script is running. */
async function start(t: TestContext, script: string) {
  const child = spawn(process.execPath, ['-e', `${script}; console.log('up'); setInterval(() => {}, 1e6)`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const id = processId(child.pid!)
  assert.ok(id)
  return { child, id }
}

test('processId identifies a living process and nothing else', async (t) => {
  const { child, id } = await start(t, '')
  assert.equal(isAlive(id), true)
  assert.deepEqual(processId(child.pid!), id)
  assert.notEqual(processId(process.pid)?.started, undefined)
  assert.equal(processId(2 ** 22 + 1), undefined) // above the kernel's largest pid
})

test('processWith finds a process by its last arguments', async (t) => {
  const { id } = await start(t, `const unlikeOthers = ${process.pid}`)
  const script = (await readFile(`/proc/${id.pid}/cmdline`, 'utf8')).split('\0').at(-2)!
  assert.deepEqual(processWith(['-e', script]), id)
  assert.equal(processWith([script.slice(1)]), undefined)
})

test('signalProcess does not signal another process with the same pid', async (t) => {
  const { child, id } = await start(t, '')
  const earlier = { pid: id.pid, started: 'an earlier boot:1' }
  assert.equal(signalProcess(earlier, 'SIGKILL'), false)
  assert.equal(await endProcess(earlier, 0), undefined)
  assert.equal(child.exitCode ?? child.signalCode, null)
})

test('endProcess asks a process, and says if it had to kill it', async (t) => {
  const { id } = await start(t, '')
  assert.equal(await endProcess(id, 60_000), 'asked')
  assert.equal(await endProcess(id, 60_000), undefined)
})

test('endProcess kills a process that ignores SIGTERM', async (t) => {
  const { child, id } = await start(t, `process.on('SIGTERM', () => {})`)
  assert.equal(await processEnded(id, 0), false)
  assert.equal(await endProcess(id, 50), 'killed')
  assert.equal(isAlive(id), false)
  if (child.signalCode === null) await once(child, 'exit')
  assert.equal(child.signalCode, 'SIGKILL')
})
