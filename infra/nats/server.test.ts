import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { isCode } from '../../sdk/errors.ts'
import { connectBus } from '../bus/wire/connect.ts'
import { isAlive, processEnded, processId } from '../process.ts'
import {
  endNatsServer,
  type NatsServerOptions,
  type NatsUsers,
  natsClusterSize,
  natsRoles,
  startNatsServer,
} from './index.ts'

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'concord-nats-'))
  t.after(async () => {
    await endNatsServer(dir)
    await rm(dir, { recursive: true })
  })
  return dir
}

async function start(t: TestContext, options: Partial<NatsServerOptions> = {}) {
  return startNatsServer({ dir: await folder(t), port: 0, ...options })
}

async function connected(t: TestContext, url: string) {
  const nc = await connectBus({ url, name: 'test' })
  t.after(() => nc.close())
  return nc
}

test('startNatsServer resolves when the server accepts connections, with JetStream on', async (t) => {
  const dir = await folder(t)
  const server = await startNatsServer({ dir, port: 0 })
  const nc = await connected(t, server.url)
  assert.equal(nc.info?.max_payload, 1024 * 1024)
  assert.equal(nc.info?.jetstream, true)
  assert.equal(server.adopted, false)
  assert.equal((await stat(join(dir, 'nats-server.conf'))).mode & 0o777, 0o600)
  assert.notEqual(processId(server.pid), undefined)
})

test('startNatsServer adopts a living server only if it has the same configuration', async (t) => {
  const dir = await folder(t)
  const first = await startNatsServer({ dir, port: 0 })
  const [again, byPort] = [
    await startNatsServer({ dir, port: 0 }),
    await startNatsServer({ dir, port: first.port }),
  ]
  assert.deepEqual([again.pid, again.adopted, again.url], [first.pid, true, first.url])
  assert.deepEqual([byPort.pid, byPort.adopted], [first.pid, true])

  const diskGrew = await startNatsServer({ dir, port: first.port, storeBytesMax: 1024 * 1024 })
  assert.deepEqual([diskGrew.pid, diskGrew.adopted], [first.pid, true])

  const users = Object.fromEntries(natsRoles.map((user) => [user, { user, password: 'x' }])) as NatsUsers
  const changed = await startNatsServer({ dir, port: first.port, users })
  assert.equal(changed.adopted, false)
  assert.equal(changed.port, first.port)
  await Promise.all([first.exited, again.exited])
  assert.equal(processId(first.pid), undefined)
})

test('startNatsServer replaces a server that is frozen', async (t) => {
  const dir = await folder(t)
  const first = await startNatsServer({ dir, port: 0 })
  process.kill(first.pid, 'SIGSTOP')
  while (!readFileSync(`/proc/${first.pid}/stat`, 'utf8').includes(') T ')) await setTimeout(1) // its threads stop one by one
  const second = await startNatsServer({ dir, port: first.port })
  assert.notEqual(second.pid, first.pid)
  await connected(t, second.url)
})

test('startNatsServer: the server outlives a killed parent process, and is adopted with its data', async (t) => {
  const dir = await folder(t)
  const script = `
    import { startNatsServer } from '${new URL('./index.ts', import.meta.url)}'
    const server = await startNatsServer({ dir: '${dir}', port: 0 })
    console.log(server.pid)
    setInterval(() => {}, 1e6)`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => parent.kill('SIGKILL'))
  const pid = Number(String((await once(parent.stdout, 'data'))[0]))
  const id = processId(pid)!
  parent.kill('SIGKILL')
  await once(parent, 'exit')

  const server = await startNatsServer({ dir, port: 0 })
  assert.deepEqual([server.adopted, server.pid], [true, pid])
  assert.equal(isAlive(id), true)
  await server.stop()
  assert.equal(isAlive(id), false)
  assert.deepEqual(await server.exited, { code: null, signal: null })
})

test('a server that was not noted, since its starter was killed or the power went, is found and ended (N1)', async (t) => {
  const dir = await folder(t)
  for (const noted of ['', '{"pid":']) {
    const first = await startNatsServer({ dir, port: 0 })
    await writeFile(join(dir, 'server.json'), noted)
    const second = await startNatsServer({ dir, port: first.port })
    assert.deepEqual([second.adopted, processId(first.pid)], [false, undefined])
  }
  await rm(join(dir, 'server.json'))
  assert.equal(await endNatsServer(dir), true)
  assert.equal(await endNatsServer(dir), false)
})

test('startNatsServer ends the server if it cannot note it, as on a full disk (N3)', async (t) => {
  const dir = await folder(t)
  const inTheWay = join(dir, `server.json.${process.pid}.tmp`)
  await mkdir(inTheWay)
  await assert.rejects(startNatsServer({ dir, port: 0 }), { code: 'EISDIR' })
  assert.equal(await endNatsServer(dir), false)
})

test('natsClusterSize counts the servers, also where their plan is damaged', async (t) => {
  const dir = await folder(t)
  assert.equal(await natsClusterSize(dir), 0)
  for (const server of [1, 2, 3]) await mkdir(join(dir, `server-${server}`))
  assert.equal(await natsClusterSize(dir), 0)
  await mkdir(join(dir, 'server-1', 'data'))
  await writeFile(join(dir, 'cluster.json'), '')
  assert.equal(await natsClusterSize(dir), 3)
})

test('NatsServer.stop ends the server, and the same folder starts again on the same port with its data', async (t) => {
  const dir = await folder(t)
  const first = await startNatsServer({ dir, port: 0 })
  const nc = await connected(t, first.url)
  await (await jetstreamManager(nc)).streams.add({ name: 'kept', subjects: ['kept'] })
  await jetstream(nc).publish('kept', 'a')
  await first.stop('SIGKILL')
  assert.deepEqual(await first.exited, { code: null, signal: 'SIGKILL' })

  const second = await startNatsServer({ dir, port: first.port })
  assert.equal(second.url, first.url)
  const later = await connected(t, second.url)
  assert.equal((await (await jetstreamManager(later)).streams.info('kept')).state.messages, 1)
})

test('startNatsServer names a taken port and the flag that changes it', async (t) => {
  const stranger = createServer().listen(0, '127.0.0.1')
  await once(stranger, 'listening')
  t.after(() => stranger.close())
  const { port } = stranger.address() as { port: number }
  const dir = await folder(t)
  await assert.rejects(startNatsServer({ dir, port }), (error) => {
    assert.ok(isCode(error, 'ERR_PORT_TAKEN'))
    assert.match(error.message, new RegExp(`port ${port}.*--nats-port`))
    return true
  })
  assert.equal(await processEnded(JSON.parse(await readFile(join(dir, 'server.json'), 'utf8')), 0), true) // N3
})

test('startNatsServer: its threads may wake from a short sleep a millisecond late', async (t) => {
  const dir = await folder(t)
  const command = join(dir, 'starts-and-tells')
  const script = `#!/bin/sh\ncat /proc/self/timerslack_ns > ${join(dir, 'slack')}\nexec nats-server "$@"\n`
  await writeFile(command, script, { mode: 0o700 })
  await startNatsServer({ dir, port: 0, command })
  assert.equal(await readFile(join(dir, 'slack'), 'utf8'), '1000000\n')
})

test('startNatsServer says what to install if there is no nats-server', async (t) => {
  await assert.rejects(start(t, { command: '/nowhere/nats-server' }), (error) => {
    assert.ok(isCode(error, 'ERR_NATS_SERVER_MISSING'))
    assert.match(error.message, /apt-get install nats-server/)
    return true
  })
})

test('startNatsServer says why the server gave up', async (t) => {
  const dir = await folder(t)
  await assert.rejects(startNatsServer({ dir, port: 99_999 }), (error) => {
    assert.ok(isCode(error, 'ERR_NATS_SERVER_FAILED'))
    assert.match(error.message, /99999|port/)
    return true
  })
})
