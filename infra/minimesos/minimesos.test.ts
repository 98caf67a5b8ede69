/** Tasks on a real agent: what runs, how it is killed, and how it outlives a minimesos that is killed. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { isCode } from '../../sdk/errors.ts'
import { bundleFile } from '../programs.mjs'
import { findCgroupParent, identityOf, isAlive, type ProcessIdentity } from './agent/index.ts'
import { endTasks, startMinimesos } from './index.ts'
import { amount, defer, eventually, scalars, TestFramework, task, tempDir } from './test-framework.ts'

async function start(t: TestContext) {
  const stateDir = tempDir(t)
  const minimesos = await startMinimesos({ port: 0, stateDir, cpus: 4, memMib: 4096, diskMib: 8192 })
  defer(t, () => minimesos.close())
  const framework = await TestFramework.subscribe(t, { url: minimesos.url })
  return { url: minimesos.url, stateDir, framework, offer: await framework.offer() }
}

const output = (stateDir: string, taskId: string, name = 'stdout'): string =>
  readFileSync(join(stateDir, 'sandboxes', taskId, name), 'utf8')

const told = (statuses: readonly { readonly state: string; readonly message?: string }[]) =>
  statuses.map(({ state, message }) => (message === undefined ? state : `${state} ${message}`))

const waitFor = (file: string): string => `while [ ! -e ${file} ]; do sleep 0.02; done`

test('tasks are reported as they end: finished, failed, by a signal, or not started', async (t) => {
  const { framework, offer, stateDir } = await start(t)
  const program = { shell: false, value: '/nonexistent/binary', arguments: ['binary'] }
  const missing = { shell: true, value: 'cat data', uris: [{ value: '/nonexistent/file', extract: true }] }
  await framework.launch(offer, [
    task('ok', offer, 'echo out; echo err >&2'),
    task('fail', offer, 'exit 3'),
    task('says', offer, 'echo first >&2; echo why it failed >&2; exit 4'),
    task('signal', offer, 'kill -KILL $$'),
    task('nocmd', offer, '', { command: program }),
    task('nofile', offer, '', { command: missing }),
    task('user', offer, '', { command: { value: 'true', user: 'no-such-user' } }),
  ])
  const ends: Record<string, string> = {}
  while (Object.keys(ends).length < 7) {
    const { update } = await framework.next('update', (e) => e.update !== undefined)
    const { task_id, state, message, source, reason } = update!.status
    await framework.acknowledge(update!.status)
    if (message !== undefined) ends[task_id.value] = `${state} ${source} ${reason ?? ''} ${message}`
  }
  assert.equal(ends['ok'], 'TASK_FINISHED SOURCE_EXECUTOR  Command exited with status 0')
  assert.equal(ends['fail'], 'TASK_FAILED SOURCE_EXECUTOR  Command exited with status 3')
  assert.equal(ends['says'], 'TASK_FAILED SOURCE_EXECUTOR  Command exited with status 4: why it failed')
  assert.equal(ends['signal'], 'TASK_FAILED SOURCE_EXECUTOR  Command terminated with signal Killed')
  assert.match(
    ends['nocmd']!,
    /^TASK_FAILED SOURCE_EXECUTOR {2}Command exited with status 1: .*no such program/,
  )
  assert.match(
    ends['nofile']!,
    /^TASK_FAILED SOURCE_AGENT REASON_CONTAINER_LAUNCH_FAILED Failed to launch container: Failed to fetch all URIs for container '\S+': exited with status 1$/,
  )
  assert.match(
    ends['user']!,
    /^TASK_DROPPED SOURCE_AGENT REASON_EXECUTOR_TERMINATED Failed to create executor directory '.*user': Failed to chown directory to 'no-such-user'/,
  )
  assert.deepEqual([output(stateDir, 'ok'), output(stateDir, 'ok', 'stderr')], ['out\n', 'err\n'])
  assert.match(output(stateDir, 'nofile', 'stderr'), /Failed to fetch '\/nonexistent\/file': ENOENT/)
  await eventually(
    'nothing is left of ended tasks but their sandboxes',
    () => readdirSync(join(stateDir, 'tasks')).length === 0,
  )
})

test('a task sees its own variables and those of Mesos, and no secret of minimesos', async (t) => {
  process.env['MINIMESOS_TEST_SECRET'] = 'secret'
  defer(t, () => delete process.env['MINIMESOS_TEST_SECRET'])
  const { framework, offer, stateDir } = await start(t)
  const environment = {
    variables: [
      { name: 'FOO', value: 'b a\nr', type: 'VALUE' },
      { name: 'MESOS_TASK_ID', value: 'mine' },
    ],
  }
  const program = {
    shell: false,
    value: process.execPath,
    arguments: ['node', '-p', 'JSON.stringify([process.env, process.cwd()])'],
    environment,
  }
  await framework.launch(offer, [task('env', offer, '', { command: program })])
  await framework.updatesUntil('env', 'TASK_FINISHED')
  const [env, cwd] = JSON.parse(output(stateDir, 'env')) as [Record<string, string>, string]
  const sandbox = join(stateDir, 'sandboxes', 'env')
  assert.equal(cwd, sandbox)
  assert.deepEqual(
    Object.keys(env)
      .filter(
        (name) =>
          !name.startsWith('MESOS_') &&
          !['HOME', 'LANG', 'NODE_COMPILE_CACHE', 'PATH', 'PWD', 'OLDPWD', '_'].includes(name),
      )
      .sort(),
    ['FOO', 'LIBPROCESS_IP', 'LIBPROCESS_PORT'],
  )
  assert.deepEqual([env['FOO'], env['MESOS_TASK_ID'], env['PATH']], ['b a\nr', 'mine', process.env['PATH']])
  assert.deepEqual([env['MESOS_SANDBOX'], env['MESOS_FRAMEWORK_ID']], [sandbox, framework.id])
})

test('KILL sends SIGTERM, waits for the grace period of the policy, then kills', async (t) => {
  const { framework, offer, stateDir } = await start(t)
  const grace = (ms: number) => ({ kill_policy: { grace_period: { nanoseconds: ms * 1e6 } } })
  await framework.launch(offer, [
    task(
      'killme',
      offer,
      'trap "echo got TERM; exit 0" TERM; echo ready; while true; do sleep 0.02; done',
      grace(60_000),
    ),
    task('stubborn', offer, 'trap "" TERM; echo ready; while true; do sleep 0.02; done', grace(60_000)),
  ])
  await eventually('both run', () => ['killme', 'stubborn'].every((id) => output(stateDir, id) !== ''))
  const kill = (id: string, policy = {}) =>
    framework.call('KILL', { kill: { task_id: { value: id }, ...policy } })
  await kill('killme')
  assert.deepEqual(told(await framework.updatesUntil('killme', 'TASK_KILLED')), [
    'TASK_STARTING',
    'TASK_RUNNING',
    'TASK_KILLING',
    'TASK_KILLED Command exited with status 0',
  ])
  assert.equal(output(stateDir, 'killme'), 'ready\ngot TERM\n')

  framework.seen = 0
  const killedMs = performance.now()
  await kill('stubborn')
  await kill('stubborn', grace(300))
  const ends = await framework.updatesUntil('stubborn', 'TASK_KILLED')
  const tookMs = performance.now() - killedMs
  assert.deepEqual(told(ends), [
    'TASK_STARTING',
    'TASK_RUNNING',
    'TASK_KILLING',
    'TASK_KILLED Command terminated with signal Killed',
  ])
  assert.ok(tookMs >= 300 && tookMs < 10_000, `killed after ${tookMs} ms`)
})

test('KILL during the fetch ends the task before it starts', async (t) => {
  const { framework, offer } = await start(t)
  const silent = createServer().listen(0, '127.0.0.1')
  defer(t, () => silent.close())
  await once(silent, 'listening')
  const { port } = silent.address() as { port: number }
  const command = { value: 'true', uris: [{ value: `http://127.0.0.1:${port}/x` }] }
  const connected = once(silent, 'connection')
  await framework.launch(offer, [task('slow', offer, '', { command })])
  await connected
  await framework.call('KILL', { kill: { task_id: { value: 'slow' } } })
  const status = await framework.update('slow')
  assert.deepEqual([status.state, status.reason], ['TASK_KILLED', 'REASON_TASK_KILLED_DURING_LAUNCH'])
})

test('resources of an ended task are offered before its updates are acknowledged', async (t) => {
  const { framework, offer, stateDir } = await start(t)
  await framework.launch(offer, [
    task('a', offer, waitFor('go'), { resources: scalars({ cpus: 4, mem: 4096 }) }),
  ])
  await framework.update('a', 'TASK_STARTING', false)
  writeFileSync(join(stateDir, 'sandboxes', 'a', 'go'), '')
  assert.equal(amount(await framework.offer(), 'cpus'), 4)
})

test('a task that exceeds its memory is ended by the kernel, if cgroups can be made', async (t) => {
  const { framework, offer } = await start(t)
  // tail keeps the whole of a line; `|| true` would hide that it was killed.
  await framework.launch(offer, [
    task('hog', offer, 'head -c 300m /dev/zero | tail > /dev/null; sleep 60 || true'),
  ])
  if (findCgroupParent() === undefined) {
    await framework.update('hog', 'TASK_RUNNING')
    return
  }
  const status = (await framework.updatesUntil('hog', 'TASK_FAILED')).at(-1)!
  assert.deepEqual([status.source, status.reason], ['SOURCE_AGENT', 'REASON_CONTAINER_LIMITATION_MEMORY'])
  assert.match(
    status.message!,
    /^Memory limit exceeded: Requested: 64MB Maximum Used: 6\dMB\n\nMEMORY STATISTICS: \n/,
  )
  assert.deepEqual(status.limitation, { resources: scalars({ mem: 64 }) })
})

test('a task ends when its shim is killed', async (t) => {
  const { framework, offer } = await start(t)
  await framework.launch(offer, [task('orphan', offer, 'sleep 60')])
  const [starting] = await framework.updatesUntil('orphan', 'TASK_RUNNING')
  const { executor_pid } = starting!.container_status as { executor_pid: number }
  process.kill(executor_pid, 'SIGKILL')
  const status = await framework.update('orphan')
  assert.deepEqual(
    [status.state, status.source, status.reason],
    ['TASK_FAILED', 'SOURCE_AGENT', 'REASON_EXECUTOR_TERMINATED'],
  )
})

/** A minimesos of its own, as `concord up` starts it. */
async function spawnMinimesos(
  t: TestContext,
  stateDir: string,
  port: number,
  stdin: 'ignore' | 'pipe' = 'ignore',
) {
  const env = { PATH: process.env['PATH'], ...(stdin === 'pipe' ? { CONCORD_PARENT: 'stdin' } : {}) }
  const flags = [
    '--port',
    String(port),
    '--state',
    stateDir,
    '--no-credentials',
    '--cpus',
    '4',
    '--mem',
    '4096',
  ]
  const child = spawn(process.execPath, [bundleFile('infra/minimesos/main.ts'), ...flags], {
    env,
    stdio: [stdin, 'pipe', 'pipe'],
  })
  defer(t, () => child.kill('SIGKILL'))
  let log = ''
  child.stderr!.on('data', (chunk) => {
    log += chunk
  })
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout! }), 'line'),
    once(child, 'close').then(() => assert.fail(`minimesos ended: ${log}`)),
  ])
  const ready = JSON.parse(line as string) as { ready: boolean; url: string }
  assert.ok(ready.ready)
  return { child, url: ready.url }
}

async function killed(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test('tasks outlive a killed minimesos, and the next one takes over the living and reports the ended', async (t) => {
  const stateDir = tempDir(t)
  const first = await spawnMinimesos(t, stateDir, 0)
  const framework = await TestFramework.subscribe(t, { url: first.url })
  const offer = await framework.offer()
  await framework.launch(offer, [
    task('lives', offer, `echo $$; ${waitFor('go')}; exit 7`),
    task('ends', offer, `${waitFor('go')}; exit 5`),
    task('dies', offer, 'echo $$; sleep 60'),
    task('killing', offer, 'trap "" TERM; echo ready; while true; do sleep 0.02; done', {
      kill_policy: { grace_period: { nanoseconds: 500e6 } },
    }),
  ])
  for (const id of ['lives', 'ends', 'dies', 'killing']) {
    framework.seen = 0
    await framework.updatesUntil(id, 'TASK_RUNNING')
  }
  await eventually('tasks print', () =>
    ['lives', 'dies', 'killing'].every((id) => output(stateDir, id) !== ''),
  )
  await framework.call('KILL', { kill: { task_id: { value: 'killing' } } })
  await framework.update('killing', 'TASK_KILLING')
  const pid = Number(output(stateDir, 'lives'))
  const living = identityOf(pid)!

  await killed(first.child)
  await framework.end()
  writeFileSync(join(stateDir, 'sandboxes', 'ends', 'go'), '')
  const folders = readdirSync(join(stateDir, 'tasks')).map((name) => join(stateDir, 'tasks', name))
  await eventually('the task ends', () => folders.some((path) => existsSync(join(path, 'exit'))))
  const shimOfDies = shimOf(Number(output(stateDir, 'dies')))
  process.kill(shimOfDies.pid, 'SIGKILL')
  await eventually('the shim is gone', () => !isAlive(shimOfDies))
  assert.ok(isAlive(living))

  const second = await spawnMinimesos(t, stateDir, Number(new URL(first.url).port))
  const before = await framework.call('REVIVE')
  assert.deepEqual(before, { status: 400, text: 'Framework cannot be found' })
  const again = await TestFramework.subscribe(t, { url: second.url, id: framework.id })
  await again.call('RECONCILE', { reconcile: { tasks: [] } })
  const updates = new Map<string, string>()
  await again.next('all updates', ({ update }) => {
    if (update?.status.uuid !== undefined) {
      updates.set(update.status.task_id.value, `${update.status.state} ${update.status.message}`)
    } else if (update !== undefined && update.status.task_id.value === 'lives') {
      updates.set('lives', update.status.state)
    }
    return updates.size === 4
  })
  assert.deepEqual(Object.fromEntries(updates), {
    lives: 'TASK_RUNNING',
    ends: 'TASK_FAILED Command exited with status 5',
    dies: 'TASK_FAILED Abnormal executor termination: the shim ended without a status',
    killing: 'TASK_KILLED Command terminated with signal Killed',
  })
  assert.equal(
    (await again.events.find((e) => e.offers !== undefined)?.offers?.offers[0]?.agent_id.value) ??
      offer.agent_id.value,
    offer.agent_id.value,
  )

  writeFileSync(join(stateDir, 'sandboxes', 'lives', 'go'), '')
  again.seen = 0
  assert.equal((await again.update('lives', 'TASK_FAILED')).message, 'Command exited with status 7')
})

test('an update that nobody acknowledged is sent again by the next minimesos', async (t) => {
  const stateDir = tempDir(t)
  const first = await spawnMinimesos(t, stateDir, 0)
  const framework = await TestFramework.subscribe(t, { url: first.url })
  const offer = await framework.offer()
  await framework.launch(offer, [task('a', offer, 'true')])
  const finished = (await framework.updatesUntil('a', 'TASK_FINISHED', false)).at(-1)!
  await killed(first.child)
  const second = await spawnMinimesos(t, stateDir, 0)
  const again = await TestFramework.subscribe(t, { url: second.url, id: framework.id })
  assert.deepEqual(await again.update('a'), finished)
  await eventually('it is forgotten', () => readdirSync(join(stateDir, 'tasks')).length === 0)
})

test('minimesos ends on SIGTERM, and with its stdin if told so, and its tasks keep running', async (t) => {
  const stateDir = tempDir(t)
  const byStdin = await spawnMinimesos(t, stateDir, 0, 'pipe')
  const framework = await TestFramework.subscribe(t, { url: byStdin.url })
  const offer = await framework.offer()
  await framework.launch(offer, [task('a', offer, 'echo $$; sleep 60')])
  await eventually(
    'it runs',
    () => existsSync(join(stateDir, 'sandboxes/a/stdout')) && output(stateDir, 'a') !== '',
  )
  byStdin.child.stdin!.end()
  assert.deepEqual(await once(byStdin.child, 'exit'), [0, null])
  const bySignal = await spawnMinimesos(t, stateDir, 0)
  bySignal.child.kill('SIGTERM')
  assert.deepEqual(await once(bySignal.child, 'exit'), [0, null])
  assert.ok(identityOf(Number(output(stateDir, 'a'))))
})

test('endTasks ends all tasks, by force after the grace period, and the next minimesos reports them as killed', async (t) => {
  const stateDir = tempDir(t)
  const first = await startMinimesos({ port: 0, stateDir, cpus: 4, memMib: 4096 })
  defer(t, () => first.close())
  const framework = await TestFramework.subscribe(t, { url: first.url })
  const offer = await framework.offer()
  await framework.launch(offer, [
    task('polite', offer, 'trap "exit 4" TERM; echo ready; while true; do sleep 0.02; done'),
    task('stubborn', offer, 'trap "" TERM; echo ready; while true; do sleep 0.02; done'),
  ])
  await eventually('both run', () => ['polite', 'stubborn'].every((id) => output(stateDir, id) !== ''))
  await first.close()
  assert.equal(await endTasks(stateDir, 200), 2)
  assert.equal(await endTasks(stateDir, 200), 0)
  const second = await startMinimesos({ port: 0, stateDir })
  defer(t, () => second.close())
  const again = await TestFramework.subscribe(t, { url: second.url, id: framework.id })
  const ends = [(await again.updatesUntil('polite', 'TASK_KILLED')).at(-1)!]
  again.seen = 0
  ends.push((await again.updatesUntil('stubborn', 'TASK_KILLED')).at(-1)!)
  assert.deepEqual(told(ends), [
    'TASK_KILLED Command exited with status 4',
    'TASK_KILLED Command terminated with signal Killed',
  ])
})

test('startMinimesos refuses a taken port and a state folder in use, and changes neither', async (t) => {
  const { url, stateDir } = await start(t)
  const port = Number(new URL(url).port)
  const other = tempDir(t)
  await assert.rejects(startMinimesos({ port, stateDir: other }), (error) => isCode(error, 'ERR_PORT_TAKEN'))
  await assert.rejects(startMinimesos({ port: 0, stateDir }), (error) => isCode(error, 'ERR_STATE_IN_USE'))
  const third = await startMinimesos({ port: 0, stateDir: other })
  await third.close()
})

test('main exits with 2 and one line that says what to do if it cannot start', async (t) => {
  const { url, stateDir } = await start(t)
  const port = new URL(url).port
  // A folder each: they run side by side, and whoever is first holds the folder for a moment.
  const [taken, open, badCredentials, badCpus, badAttributes] = [1, 2, 3, 4, 5].map(() => tempDir(t))
  const credentials = join(tempDir(t), 'c.json')
  writeFileSync(credentials, '{"principal":"p"}')
  const table: readonly (readonly [readonly string[], RegExp])[] = [
    [['--state', taken!, '--no-credentials', '--port', port], /ERR_PORT_TAKEN.*--port another number/],
    [['--state', stateDir, '--no-credentials', '--port', '0'], /ERR_STATE_IN_USE.*--state another folder/],
    [['--state', open!, '--port', '0'], /ERR_BAD_OPTION.*--credentials FILE/],
    [['--state', badCredentials!, '--credentials', credentials], /ERR_BAD_OPTION.*c\.json: expected/],
    [['--no-credentials'], /ERR_BAD_OPTION.*--state is missing/],
    [
      ['--state', badCpus!, '--no-credentials', '--cpus', 'many'],
      /ERR_BAD_OPTION.*--cpus must be a number, not 'many'/,
    ],
    [
      ['--state', badAttributes!, '--no-credentials', '--port', '0', '--attributes', 'x'],
      /ERR_BAD_OPTION.*Cannot read attribute 'x'/,
    ],
    [['--frobnicate'], /ERR_BAD_OPTION.*frobnicate/],
  ]
  await Promise.all(
    table.map(async ([flags, text]) => {
      const child = spawn(process.execPath, [bundleFile('infra/minimesos/main.ts'), ...flags], {
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let [out, log] = ['', '']
      child.stdout.on('data', (chunk) => {
        out += chunk
      })
      child.stderr.on('data', (chunk) => {
        log += chunk
      })
      assert.deepEqual(await once(child, 'close'), [2, null], log)
      assert.deepEqual([out, log.trim().split('\n').length], ['', 1])
      assert.match(log, text)
    }),
  )
})

/** The shim of a command is its parent. */
function shimOf(pid: number): ProcessIdentity {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return identityOf(Number(/\) \S (\d+) /.exec(stat)![1]))!
}
