/** What an agent makes of a state folder that a killed one left, at any instant of a task's life. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { ManualClock } from '../../clock.ts'
import { readCondition } from '../condition-file.ts'
import { Registry } from '../master/registry.ts'
import { defer, eventually, tempDir } from '../test-framework.ts'
import { resources, type TaskInfo, type TaskStatus } from '../wire/index.ts'
import { Agent } from './agent.ts'
import { makeSandbox } from './sandbox.ts'
import { spawnShim } from './spawn-shim.ts'
import { TaskFolder, type TaskRecord } from './task-folder.ts'

const info: TaskInfo = {
  name: 't',
  task_id: { value: 't' },
  agent_id: { value: 'a' },
  resources: [],
}

function leave(stateDir: string, change: Partial<TaskRecord> = {}): TaskFolder {
  const folder = TaskFolder.create(stateDir, 'container')
  const sandbox = makeSandbox(stateDir, 't', 'container')
  folder.writeRecord({
    schema: 1,
    containerId: 'container',
    frameworkId: 'f',
    role: 'web',
    info,
    sandbox,
    acknowledged: 'TASK_RUNNING',
    pending: [],
    ...change,
  })
  return folder
}

function shim(folder: TaskFolder, value: string) {
  const environment = { PATH: process.env['PATH']! }
  const { sandbox } = folder.readRecord()!
  return spawnShim({ folder, sandbox, command: { uris: [], arguments: [], value }, environment })
}

function takeUp(t: TestContext, stateDir: string) {
  const clock = new ManualClock()
  const agent = new Agent({
    stateDir,
    hostname: 'here',
    attributes: [],
    total: resources({ cpus: 4 }),
    endpoint: '127.0.0.1:1',
    clock,
    log: pino({ level: 'silent' }),
  })
  defer(t, () => agent.close())
  const updates: TaskStatus[] = []
  agent.listen({ update: (_, status) => void updates.push(status), freed: () => {} })
  agent.resend('f')
  const told = () => updates.map(({ state, reason, message }) => `${state} ${reason ?? ''} ${message}`)
  return { agent, clock, told }
}

test('Agent keeps its id', (t) => {
  const stateDir = tempDir(t)
  assert.equal(takeUp(t, stateDir).agent.id, takeUp(t, stateDir).agent.id)
})

test('Agent removes a task that was not recorded yet, or is done already', (t) => {
  const [first, second] = [tempDir(t), tempDir(t)]
  const folders = [TaskFolder.create(first, 'container'), leave(second, { acknowledged: 'TASK_FINISHED' })]
  assert.deepEqual([...takeUp(t, first).agent.tasks(), ...takeUp(t, second).agent.tasks()], [])
  assert.deepEqual(
    folders.map((folder) => existsSync(folder.path)),
    [false, false],
  )
})

test('Agent starts with files that a power cut has left empty or torn, as if they were absent', (t) => {
  for (const torn of ['', '{"schema":1,', '\0\0\0']) {
    const stateDir = tempDir(t)
    const folder = leave(stateDir)
    folder.killDeadlineMs = 1
    const files = ['agent.json', 'reserved.json', 'condition.json'].map((name) => join(stateDir, name))
    for (const file of [...files, join(folder.path, 'kill')]) writeFileSync(file, torn)
    assert.equal(takeUp(t, stateDir).agent.tasks().length, 1)
    assert.equal(readCondition(stateDir), 'up')
    writeFileSync(join(folder.path, 'task.json'), torn)
    assert.deepEqual(takeUp(t, stateDir).agent.tasks(), [])
    writeFileSync(join(stateDir, 'frameworks.json'), torn)
    assert.deepEqual(new Registry(stateDir).load().frameworks, [])
  }
})

test('Agent reports a task whose shim never started, and that shim can no longer start', async (t) => {
  const stateDir = tempDir(t)
  const folder = leave(stateDir)
  const { told } = takeUp(t, stateDir)
  assert.deepEqual(told(), [
    'TASK_FAILED REASON_CONTAINER_LAUNCH_FAILED Failed to launch container: the agent ended before the command was started',
  ])
  await once(shim(folder, 'exit 0'), 'exit')
  assert.equal(folder.exit, undefined)
})

test('Agent gives a shim that has just claimed its task two seconds to identify itself', (t) => {
  const stateDir = tempDir(t)
  leave(stateDir).claim()
  const { clock, told } = takeUp(t, stateDir)
  clock.advance(1_999)
  assert.deepEqual(told(), [])
  clock.advance(200)
  assert.deepEqual(told(), [
    'TASK_FAILED REASON_EXECUTOR_TERMINATED Abnormal executor termination: the shim ended without a status',
  ])
})

test('Agent reports a task that ended meanwhile', async (t) => {
  const stateDir = tempDir(t)
  await once(shim(leave(stateDir), 'exit 3'), 'exit')
  assert.deepEqual(takeUp(t, stateDir).told(), ['TASK_FAILED  Command exited with status 3'])
})

test('Agent ends a task that was discarded and not yet told to end', async (t) => {
  const stateDir = tempDir(t)
  const folder = leave(stateDir, { discarded: true })
  const exit = once(shim(folder, 'sleep 60'), 'exit')
  await eventually('the command runs', () => folder.command !== undefined)
  const { agent, clock, told } = takeUp(t, stateDir)
  assert.deepEqual(agent.tasks(), [])
  await exit
  clock.advance(100)
  assert.deepEqual([told(), existsSync(folder.path)], [[], false])
})

test('Agent continues a kill that the agent before it had begun', async (t) => {
  const stateDir = tempDir(t)
  const folder = leave(stateDir)
  const exit = once(shim(folder, 'trap "" TERM; while true; do sleep 0.02; done'), 'exit')
  await eventually('the command runs', () => folder.command !== undefined)
  folder.killDeadlineMs = 3_000
  const { clock, told } = takeUp(t, stateDir)
  clock.advance(2_999)
  assert.deepEqual(told(), [])
  clock.advance(1)
  await exit
  clock.advance(100)
  assert.deepEqual(told(), ['TASK_KILLED  Command terminated with signal Killed'])
})

test('Agent cuts the output of a task that prints without end, and the task goes on', async (t) => {
  const stateDir = tempDir(t)
  const folder = leave(stateDir)
  const { sandbox } = folder.readRecord()!
  const stdout = join(sandbox, 'stdout')
  const printed = () => statSync(stdout).size
  // Prints 17 MiB, and a word when it is told to go on.
  const child = shim(
    folder,
    'head -c 17825792 /dev/zero; touch printed; while [ ! -e go ]; do sleep 0.02; done; echo end',
  )
  await eventually('it has printed', () => existsSync(join(sandbox, 'printed')))
  const { clock } = takeUp(t, stateDir)
  clock.advance(100)
  const left = printed()
  assert.ok(left < 1024 * 1024 + 100, `${left} bytes`)
  const exit = once(child, 'exit')
  writeFileSync(join(sandbox, 'go'), '')
  await exit
  assert.equal(printed(), left + 'end\n'.length)
})
