import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { endLeftovers, findLeftovers } from './leftovers.ts'

test('findLeftovers sees a process by its environment and by its command line', async (t) => {
  const mark = `mark-${randomUUID()}`
  const marked = spawn('sleep', ['60'], { env: { ...process.env, TMPDIR: mark } })
  const bare = spawn('sh', ['-c', 'echo up; read line', mark], {
    env: {},
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => [marked, bare].map((child) => child.kill('SIGKILL')))
  await Promise.all([once(marked, 'spawn'), once(bare.stdout, 'data')])
  const found = findLeftovers(mark).map(({ pid }) => pid)
  assert.deepEqual(found.sort(), [marked.pid, bare.pid].sort())
})

test('findLeftovers finds nothing by an empty mark, which every process carries', () => {
  assert.deepEqual(findLeftovers(''), [])
})

test('endLeftovers ends what is left, names it, and reports it', async () => {
  const mark = `mark-${randomUUID()}`
  const child = spawn('sleep', ['61'], { env: { ...process.env, TMPDIR: mark } })
  await once(child, 'spawn')
  const exited = once(child, 'exit')
  const shown: string[] = []
  assert.equal(await endLeftovers(mark, { graceMs: 100, write: (text) => void shown.push(text) }), false)
  assert.equal(shown.join(''), `still running: ${child.pid} sleep 61\n`)
  assert.equal((await exited)[1], 'SIGKILL')
})

test('endLeftovers waits for a process that is about to end', async () => {
  const mark = `mark-${randomUUID()}`
  const child = spawn('sh', ['-c', 'read line'], {
    env: { ...process.env, TMPDIR: mark },
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  await once(child, 'spawn')
  const ended = endLeftovers(mark, { graceMs: 10_000 })
  child.stdin.end()
  assert.equal(await ended, true)
})
