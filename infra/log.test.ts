import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
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

test('a log that cannot be written ends nothing, and says later how many lines are missing (G3)', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'concord-log-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'x.log')
  // The bound on a file's size (of `ulimit`, in KiB) stands for a full disk, and truncating for room on it.
  const source = `const { makeLog } = await import(${JSON.stringify(join(import.meta.dirname, 'log.ts'))})
    const log = makeLog({ name: 'x', level: 'info' })
    for (let i = 0; i < 40; i++) log.info('.'.repeat(100))
    ;(await import('node:fs')).ftruncateSync(2)
    log.info('room again')
    console.log('alive')`
  const { status, stdout } = spawnSync(
    'bash',
    ['-c', `ulimit -f 4; exec "$0" --input-type=module -e "$1" 2>> "$2"`, process.execPath, source, file],
    { encoding: 'utf8' },
  )
  assert.deepEqual({ status, stdout }, { status: 0, stdout: 'alive\n' })
  const [after, missing, ...none] = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(after.msg, 'room again')
  assert.match(missing.msg, /could not write/)
  assert.ok(missing.leftOut > 0 && missing.leftOut < 40, `${missing.leftOut}`)
  assert.deepEqual(none, [])
})
