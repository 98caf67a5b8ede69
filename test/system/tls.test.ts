/**
 * A platform of which nothing goes in clear: NATS with certificates on both sides, the Mesos master and the gateway behind https. ZooKeeper's
 * client knows no TLS (docs/operations.md), so the store is a file here.
 * @module
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { createServer } from 'node:tls'
import { authority, client, server } from '../../infra/bus/wire/testing-certificates.ts'
import { freePorts } from '../../infra/free-ports.ts'
import { endTasks, startMinimesos } from '../../infra/minimesos/index.ts'
import { bundleFile } from '../../infra/programs.mjs'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import { type Answer, runCli, startCli } from './platform.ts'

const shout = `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'shout', istreams: { words: groupBy }, ostreams: ['loud'] },
  processRecord(ctx, record) { ctx.produceRecord('loud', record.key, record.text().toUpperCase()) },
})
`

/** Speaks TLS for who does not: what a balancer before a gateway, or a master's own --ssl, does. */
async function front(ends: (() => unknown)[], url: string): Promise<string> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket)).on('error', () => socket.destroy())
  }
  const listener = createServer(server, (socket) => {
    const behind = connect(Number(new URL(url).port), '127.0.0.1')
    keep(socket)
    keep(behind)
    socket.pipe(behind).pipe(socket)
    socket.once('close', () => behind.destroy())
    behind.once('close', () => socket.destroy())
  })
  await new Promise<void>((done) => listener.listen(0, '127.0.0.1', done))
  ends.push(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((done) => listener.close(done))
  })
  return `https://127.0.0.1:${(listener.address() as AddressInfo).port}`
}

/** Starts a program of the platform. @returns The first line in which it says that it is ready. */
async function started(
  ends: (() => unknown)[],
  command: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
  ready: { readonly from: 'stdout' | 'stderr'; readonly line: RegExp },
): Promise<string> {
  const [program, ...args] = command
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  const exited = once(child, 'exit')
  ends.push(async () => {
    child.kill('SIGTERM')
    await exited
  })
  let said = ''
  for (const from of ['stdout', 'stderr'] as const)
    child[from].setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-10_000)
    })
  const { promise, resolve } = Promise.withResolvers<string>()
  createInterface({ input: child[ready.from] }).on('line', (line) => {
    if (ready.line.test(line)) resolve(line)
  })
  const line = await Promise.race([promise, exited.then(() => undefined)])
  assert.ok(line !== undefined, `${command.at(-1)} ended before it was ready: ${said}`)
  return line
}

/** Starts a program that cannot go on. @returns What it says. */
async function refused(
  [program, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'], env: { ...process.env, ...env } })
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  assert.ok(code === 1 || code === 2, `${code}: ${said}`)
  return said
}

async function tlsPlatform(t: TestContext) {
  const ends: (() => unknown)[] = []
  t.after(async () => {
    for (const end of ends.reverse()) await end()
  })
  const dir = mkdtempSync(join(tmpdir(), 'concord-tls-'))
  ends.push(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  const file = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text, { mode: 0o600 })
    return join(dir, name)
  }
  const ca = file('ca.pem', authority)
  const [port] = await freePorts(1)
  const login = ['--user', 'concord', '--pass', 'secret']
  const tls = ['--tlscert', file('server.pem', server.cert), '--tlskey', file('server.key', server.key)]
  const data = ['-js', '-sd', join(dir, 'nats'), '-a', '127.0.0.1', '-p', String(port)]
  const verified = ['--tlsverify', ...tls, '--tlscacert', ca]
  await started(
    ends,
    ['nats-server', ...data, ...login, ...verified],
    {},
    { from: 'stderr', line: /Server is ready/ },
  )

  const credentials = { principal: 'concord', secret: 'secret' }
  const stateDir = join(dir, 'minimesos')
  const mesos = await startMinimesos({ port: 0, stateDir, credentials, cpus: 2, memMib: 1024, diskMib: 1024 })
  ends.push(async () => {
    await endTasks(stateDir, 10_000)
    await mesos.close()
  })
  mkdirSync(join(dir, 'home'))
  const env = {
    CONCORD_HOME: join(dir, 'home'),
    CONCORD_NATS_URL: `tls://127.0.0.1:${port}`,
    CONCORD_NATS_USER: 'concord',
    CONCORD_NATS_PASSWORD: 'secret',
    CONCORD_NATS_CA_FILE: ca,
    CONCORD_NATS_CERT_FILE: file('client.pem', client.cert),
    CONCORD_NATS_KEY_FILE: file('client.key', client.key),
    CONCORD_STORE_URL: `sqlite:${join(dir, 'store.sqlite')}`,
    CONCORD_MESOS_URL: await front(ends, mesos.url),
    CONCORD_MESOS_PRINCIPAL: credentials.principal,
    CONCORD_MESOS_SECRET: credentials.secret,
    CONCORD_GATEWAY_PORT: '0',
    CONCORD_GATEWAY_TOKEN_FILE: file('token', 'concord_of_this_test'),
    NODE_EXTRA_CA_CERTS: ca,
  }
  const ready = { from: 'stdout', line: /^\{"ready":true/ } as const
  const program = (source: 'gateway/main.ts' | 'scheduler/main.ts'): [string, ...string[]] => [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    bundleFile(source),
  ]
  const mistaken = { ...env, CONCORD_NATS_PASSWORD: 'not-this' }
  const [gateway, ...refusals] = await Promise.all([
    started(ends, program('gateway/main.ts'), env, ready),
    refused(program('gateway/main.ts'), mistaken),
    refused(program('scheduler/main.ts'), mistaken),
    started(ends, program('scheduler/main.ts'), env, ready),
  ])
  const url = await front(ends, (JSON.parse(gateway) as { url: string }).url)
  const user = {
    CONCORD_HOME: dir,
    CONCORD_URL: url,
    CONCORD_TOKEN: 'concord_of_this_test',
    NODE_EXTRA_CA_CERTS: ca,
  }
  const inClear = mesos.url.replace('http:', 'https:')
  return {
    dir,
    user,
    inClear,
    refusals: refusals.slice(0, 2),
    cli: (args: readonly string[], input?: string) => runCli(args, user, input),
  }
}

function fine({ code, stdout, stderr }: Answer): string {
  assert.equal(code, 0, stderr)
  return stdout
}

test('deploy, produce and consume where NATS, the Mesos master and the gateway speak TLS alone', {
  timeout: 400_000,
}, async (t) => {
  const { dir, user, inClear, refusals, cli } = await tlsPlatform(t)
  for (const said of refusals) assert.match(said, /nats\.user and nats\.password|CONCORD_NATS_PASSWORD/)
  const { NODE_EXTRA_CA_CERTS: _, ...stranger } = user
  const untrusted = await runCli(['fn', 'ls'], { ...stranger, NODE_EXTRA_CA_CERTS: '' })
  assert.equal(untrusted.code, 8)
  assert.match(untrusted.stderr, /certificate of https:.* is not to be trusted \(.*NODE_EXTRA_CA_CERTS/)
  const mistaken = await cli(['fn', 'ls', '--url', inClear])
  assert.equal(mistaken.code, 8)
  assert.match(mistaken.stderr, /does not speak TLS \(.*is it http:\/\//)

  const source = join(dir, 'shout.ts')
  writeFileSync(source, shout)
  fine(await cli(['stream', 'create', 'loud']))
  const reader = startCli(['consume', 'loud', '--count', '2', '--timeout', '180'], user)
  const closed = once(reader, 'close')
  const following = createInterface({ input: reader.stderr! })
  const read: string[] = []
  createInterface({ input: reader.stdout! }).on('line', (line) => read.push(line))
  await once(following, 'line')
  fine(await cli(['fn', 'deploy', source]))
  fine(await cli(['produce', 'words', '--key', 'k'], 'hello\nworld\n'))
  const [code] = (await closed) as [number | null]
  assert.deepEqual([code, read], [0, ['k\tHELLO', 'k\tWORLD']])
  const detail = JSON.parse(fine(await cli(['fn', 'inspect', 'shout', '--json']))) as FunctionDetail
  assert.equal(detail.instances[0]?.restarts, 0)
  fine(await cli(['fn', 'rm', 'shout']))
})
