import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { type NatsServer, startNatsServer } from '../infra/nats/index.ts'
import { bundleFile } from '../infra/programs.mjs'
import { openStore, paths } from '../infra/store/index.ts'
import { call, linesOf, sourceOf, token, until } from './testing/platform.ts'

let dir: string
let nats: NatsServer
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'concord-gateway-main-'))
  await writeFile(join(dir, 'token'), `${token}\n`, { mode: 0o600 })
  nats = await startNatsServer({ dir: join(dir, 'nats'), port: 0 })
})
after(async () => {
  await nats.stop()
  await rm(dir, { recursive: true, force: true })
})

function start(env: Record<string, string> = {}): ChildProcess {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', bundleFile('gateway/main.ts')], {
    env: {
      ...{
        PATH: process.env['PATH'],
        CONCORD_HOME: dir,
        CONCORD_NATS_URL: nats.url,
        CONCORD_GATEWAY_PORT: '0',
      },
      ...env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

async function ready(child: ChildProcess): Promise<string> {
  const errors = text(child.stderr!)
  const line = await Promise.race([
    once(createInterface(child.stdout!), 'line').then(([first]) => first as string),
    once(child, 'exit').then(async () => assert.fail(`it ended before it was ready: ${await errors}`)),
  ])
  const { ready, url } = JSON.parse(line) as { ready: boolean; url: string }
  assert.equal(ready, true)
  return url
}

async function failure(child: ChildProcess): Promise<{ code: number; out: string; err: string }> {
  const [out, err, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'exit'),
  ])
  return { code: code as number, out, err }
}

test('main says one ready line, answers, and ends in order on SIGTERM', async () => {
  const child = start()
  const url = await ready(child)
  assert.deepEqual(await (await fetch(`${url}/readyz`)).json(), { ok: true })
  assert.equal((await call(url, 'GET', '/v1/functions')).status, 200)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  assert.deepEqual(await exited, [0, null])
})

test('main ends with its parent process if asked to', async () => {
  const child = start({ CONCORD_PARENT: 'stdin' })
  await ready(child)
  const exited = once(child, 'exit')
  child.stdin!.end()
  assert.deepEqual(await exited, [0, null])
})

test('main exits 2, with the code in one line of its log, if its port is taken, or its token is missing or short', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await writeFile(join(dir, 'short'), 'short')
  const configuration = 'ERR_GATEWAY_CONFIGURATION'
  const attempts: [Record<string, string>, string, RegExp][] = [
    [
      { CONCORD_GATEWAY_PORT: String(port) },
      'ERR_GATEWAY_PORT_TAKEN',
      new RegExp(`${port}: another program does`),
    ],
    [
      { CONCORD_GATEWAY_TOKEN_FILE: join(dir, 'absent') },
      configuration,
      /Cannot read the token.*CONCORD_GATEWAY_TOKEN_FILE/,
    ],
    [{ CONCORD_GATEWAY_TOKEN_FILE: join(dir, 'short') }, configuration, /at least 16 characters/],
  ]
  for (const [env, expected, message] of attempts) {
    const { code, out, err } = await failure(start(env))
    assert.deepEqual([code, out], [2, ''], err)
    const last = JSON.parse(err.trimEnd().split('\n').at(-1)!)
    assert.deepEqual([last.level, last.name, last.code], ['fatal', 'gateway', expected])
    assert.match(last.msg, message)
  }
  server.close()
})

test('main deploys, publishes and follows across a kill and restart of NATS without loss', async () => {
  const child = start()
  const url = await ready(child)
  assert.equal(
    (await call(url, 'POST', '/v1/functions', { body: sourceOf('maker', ['lines'], ['out']) })).status,
    200,
  )
  await call(url, 'PUT', '/v1/streams/kept')
  const lines = linesOf(await call(url, 'GET', '/v1/streams/kept/records?hold'))
  assert.equal((await lines.next()).value?.['hold'], true)

  let sent = 0
  const publish = async (): Promise<void> => {
    const body = Array.from({ length: 500 }, (_, i) =>
      JSON.stringify({ key: 'k', value: `${sent + i}` }),
    ).join('\n')
    const response = await call(url, 'POST', '/v1/streams/kept/records', { body })
    const { accepted } = (await response.json()) as { accepted: number }
    sent += accepted
  }
  const { port } = nats
  for (let i = 0; i < 10; i++) await publish()
  await nats.stop('SIGKILL')
  for (let i = 0; i < 3; i++) await publish() // taken, and held until NATS is back
  nats = await startNatsServer({ dir: join(dir, 'nats'), port })
  for (let i = 0; i < 10; i++) await publish()

  for (let expected = 0; expected < sent; expected++) {
    const { value } = (await lines.next()) as { value: { value: string } }
    assert.equal(value.value, `${expected}`)
  }
  await until('it is ready again', async () => (await fetch(`${url}/readyz`)).ok)
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  assert.deepEqual(await exited, [0, null])
})

test("main refuses a store that belongs to another namespace, also one that was nobody's when it began", async () => {
  const url = `sqlite:${join(dir, 'shared.sqlite')}`
  const store = await openStore(url)
  const env = { CONCORD_STORE_URL: url, CONCORD_NAMESPACE: 'other' }
  const early = start(env)
  let said = ''
  early.stdout!.on('data', (chunk) => {
    said += chunk
  })
  await ready(early)
  const ended = once(early, 'close')
  await store.create(paths.framework, { schema: 1, id: 'f', namespace: 'test' })
  assert.deepEqual(await ended, [2, null])
  assert.match(said, /\n\{"stopped":true,"givenUpRecords":0\}\n$/)
  await store.close()
  const { code, out, err } = await failure(start(env))
  assert.deepEqual([code, out], [2, ''], err)
  const last = JSON.parse(err.trimEnd().split('\n').at(-1)!)
  assert.equal(last.code, 'ERR_OTHER_NAMESPACE')
  assert.match(last.msg, /'other': the store belongs to the namespace 'test'\. Correct the setting namespace/)
})
