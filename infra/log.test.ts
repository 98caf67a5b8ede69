import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeLog } from './log.ts'

function listen() {
  const lines: Record<string, unknown>[] = []
  return { lines, to: { write: (line: string) => void lines.push(JSON.parse(line)) } }
}

test('makeLog writes name, level and fields, at its level and above', () => {
  const { lines, to } = listen()
  const log = makeLog({ name: 'gateway', level: 'info', to })
  log.debug('not this')
  log.warn({ stream: 'clicks' }, 'behind')
  assert.equal(lines.length, 1)
  const { name, level, stream, msg } = lines[0]!
  assert.deepEqual(
    { name, level, stream, msg },
    { name: 'gateway', level: 'warn', stream: 'clicks', msg: 'behind' },
  )
})

test('makeLog never writes a secret (G1)', () => {
  const { lines, to } = listen()
  const log = makeLog({ name: 'x', level: 'info', to })
  log.info(
    {
      password: 'hunter2',
      nats: { user: 'u', password: 'hunter2' },
      headers: { authorization: 'Bearer hunter2' },
    },
    'start',
  )
  log.child({ token: 'hunter2' }).info('child')
  assert.ok(!JSON.stringify(lines).includes('hunter2'))
  assert.deepEqual(lines[0]!['nats'], { user: 'u', password: '***' })
})

test('makeLog writes to standard error, including the last line before the process ends (G2)', () => {
  const source = `const { makeLog } = await import(${JSON.stringify(join(import.meta.dirname, 'log.ts'))})
    makeLog({ name: 'x', level: 'info' }).info('last words'); process.kill(process.pid, 'SIGKILL')`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    encoding: 'utf8',
  })
  assert.equal(stdout, '')
  assert.equal(JSON.parse(stderr).msg, 'last words')
})
