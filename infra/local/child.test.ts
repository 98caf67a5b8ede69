import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { logFileBytesMax } from '../log-file.ts'
import { endProcess, isAlive, processEnded, processId } from '../process.ts'
import { startChild } from './child.ts'

const ready = `console.log('{"ready":true,"url":"http://127.0.0.1:4242"}');`
const idle = 'setInterval(() => {}, 1e6);'
const endsWithStdin = `process.stdin.resume().on('end', () => process.exit(0));`

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'concord-child-'))
  t.after(() => rm(dir, { recursive: true }))
  return dir
}

async function start(t: TestContext, script: string, logFile?: string) {
  const child = await startChild({
    name: 'sample',
    command: [process.execPath, '-e', script],
    env: { SOME: 'thing' },
    logFile: logFile ?? join(await folder(t), 'sample.log'),
    graceMs: 100,
  })
  t.after(() => endProcess(child.id, 0))
  return child
}

test('startChild returns the contents of the ready line', async (t) => {
  const child = await start(t, `console.log('some chatter'); ${ready} ${idle}`)
  assert.deepEqual([child.url, child.port, isAlive(child.id)], ['http://127.0.0.1:4242', 4242, true])
  await child.stop()
  assert.deepEqual(await child.exited, { code: null, signal: 'SIGTERM' })
})

test('startChild passes its environment on, and appends the stderr of the child to its log', async (t) => {
  const logFile = join(await folder(t), 'sample.log')
  await writeFile(logFile, 'earlier\n')
  await start(
    t,
    `console.error(process.env.SOME, process.env.CONCORD_PARENT, process.env.PATH); ${ready} ${idle}`,
    logFile,
  )
  assert.equal(await readFile(logFile, 'utf8'), 'earlier\nthing stdin undefined\n')
})

test('startChild rotates a large log', async (t) => {
  const logFile = join(await folder(t), 'sample.log')
  await writeFile(logFile, Buffer.alloc(logFileBytesMax + 1, 'x'))
  await start(t, `console.error('new'); ${ready} ${idle}`, logFile)
  assert.equal(await readFile(logFile, 'utf8'), 'new\n')
  assert.equal((await readFile(`${logFile}.1`)).length, logFileBytesMax + 1)
})

test('startChild says why a child did not become ready', async (t) => {
  const cases = [
    [
      `console.error('noise'); console.error('Cannot do it: no coffee'); process.exit(2)`,
      /Cannot start the sample: Cannot do it: no coffee/,
    ],
    [
      `console.error(JSON.stringify({ level: 60, msg: 'the port is taken' })); process.exit(2)`,
      /sample: the port is taken/,
    ],
    [`throw new TypeError('x is not a function')`, /sample: TypeError: x is not a function/],
    [`process.exit(3)`, /sample: it ended with 3/],
    [`process.kill(process.pid, 'SIGKILL')`, /sample: it ended with SIGKILL/],
  ] as const
  for (const [script, message] of cases)
    await assert.rejects(start(t, script), { code: 'ERR_UP_CHILD', message })
})

test('Child.stop kills a child that ignores SIGTERM', async (t) => {
  const child = await start(t, `process.on('SIGTERM', () => {}); ${ready} ${idle}`)
  await child.stop()
  assert.deepEqual(await child.exited, { code: null, signal: 'SIGKILL' })
})

test('startChild: the child ends when the parent is killed (H1)', async (t) => {
  const script = `
    import { startChild } from '${new URL('./child.ts', import.meta.url)}'
    const child = await startChild({
      name: 'sample', command: [process.execPath, '-e', ${JSON.stringify(ready + endsWithStdin)}],
      env: {}, logFile: '${join(await folder(t), 'sample.log')}', graceMs: 100,
    })
    console.log(child.id.pid)`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => parent.kill('SIGKILL'))
  const id = processId(Number(String((await once(parent.stdout, 'data'))[0])))!
  assert.equal(isAlive(id), true)
  parent.kill('SIGKILL')
  assert.equal(await processEnded(id, 60_000), true)
})
