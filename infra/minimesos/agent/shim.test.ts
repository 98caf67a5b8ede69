import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { eventually, tempDir } from '../test-framework.ts'
import { identityOf, isAlive, signalGroup } from './process-identity.ts'
import { makeSandbox } from './sandbox.ts'
import { spawnShim } from './spawn-shim.ts'
import { TaskFolder } from './task-folder.ts'

function start(
  t: TestContext,
  command: Partial<Parameters<typeof spawnShim>[0]['command']>,
  environment = {},
) {
  const dir = tempDir(t)
  const folder = TaskFolder.create(dir, 'container')
  const sandbox = makeSandbox(dir, 'task', 'container')
  const run = () =>
    spawnShim({
      folder,
      sandbox,
      command: { uris: [], arguments: [], ...command },
      environment: { PATH: process.env['PATH']!, ...environment },
    })
  return { folder, sandbox, run, output: (name: string) => readFileSync(join(sandbox, name), 'utf8') }
}

test('shim writes how its command ended, and distinguishes exit(137) from SIGKILL', async (t) => {
  const table: readonly (readonly [string, string, number])[] = [
    ['exit 0', 'status', 0],
    ['exit 3', 'status', 3],
    ['exit 137', 'status', 137],
    ['kill -KILL $$', 'signal', 9],
    ['kill -TERM $$', 'signal', 15],
    ['kill -SEGV $$', 'signal', 11],
    ['kill -INT $$', 'signal', 2],
    ['kill -PIPE $$', 'signal', 13],
  ]
  await Promise.all(
    table.map(async ([value, kind, expected]) => {
      const { folder, run } = start(t, { value })
      await once(run(), 'exit')
      assert.deepEqual(folder.exit, { kind, value: expected }, value)
    }),
  )
})

test('shim runs a program with its arguments unchanged, and reports a missing one', async (t) => {
  const present = start(t, { shell: false, value: '/bin/echo', arguments: ['echo', 'a  b', '$HOME', "'"] })
  await once(present.run(), 'exit')
  assert.equal(present.output('stdout'), "a  b $HOME '\n")
  const missing = start(t, { shell: false, value: '/nonexistent/binary', arguments: [] })
  await once(missing.run(), 'exit')
  assert.deepEqual(missing.folder.exit, { kind: 'status', value: 1 })
  assert.match(missing.output('stderr'), /'\/nonexistent\/binary': no such program/)
})

test('shim does not depend on the PATH of its command', async (t) => {
  const { folder, run, output } = start(t, { value: 'echo "$PATH"' }, { PATH: '/nowhere' })
  await once(run(), 'exit')
  assert.equal(output('stdout'), '/nowhere\n')
  assert.deepEqual(folder.exit, { kind: 'status', value: 0 })
})

test('shim starts its command with no signal ignored', async (t) => {
  const { folder, run } = start(t, { value: 'grep SigIgn /proc/self/status | grep -q 0000000000000000' })
  await once(run(), 'exit')
  assert.deepEqual(folder.exit, { kind: 'status', value: 0 })
})

test('shim survives SIGTERM, SIGINT and SIGHUP, and ends processes that its command leaves behind', async (t) => {
  const { folder, run, output } = start(t, {
    value: 'sleep 60 & echo $!; while [ ! -e go ]; do sleep 0.02; done',
  })
  const child = run()
  await eventually(
    'the command runs',
    () => existsSync(join(folder.path, 'command')) && output('stdout') !== '',
  )
  const left = identityOf(Number(output('stdout')))!
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) child.kill(signal)
  assert.ok(isAlive(left))
  assert.ok(signalGroup(folder.command!, 'SIGTERM'))
  await once(child, 'exit')
  await eventually('the rest of the group ends', () => !isAlive(left))
  assert.deepEqual(folder.exit, { kind: 'signal', value: 15 })
})

test('shim does nothing if the agent has claimed the task first', async (t) => {
  const { folder, run, output } = start(t, { value: 'echo ran' })
  assert.ok(folder.claim())
  await once(run(), 'exit')
  assert.equal(output('stdout'), '')
  assert.equal(folder.command, undefined)
  assert.equal(folder.claim(), false)
})
