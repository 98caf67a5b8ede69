/** The NATS files: three real servers that have them, and who may do what there. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { isCode } from '../../sdk/errors.ts'
import { connectBus, type NatsConnection, subjects } from '../bus/index.ts'
import { freePorts } from '../free-ports.ts'
import type { NatsRole } from '../nats/index.ts'
import { usersConf } from './users-conf.ts'

const read = (name: string) => readFileSync(join(import.meta.dirname, 'nats', name), 'utf8')
const passwordOf = (user: string) => `p0f${user.replaceAll('-', '')}`
const command = subjects.taskSubject('ns', 't')

test('nats/users.conf is what the permissions say', () => {
  assert.equal(read('users.conf'), usersConf(), 'run: node infra/deploy/users-conf.ts')
})

test('nats/nats-server.conf: on three servers the scheduler commands a runner, the gateway cannot, and nobody else gets in', {
  timeout: 120_000,
}, async (t) => {
  const urls = await startServers(t)
  const logins: NatsConnection[] = []
  const login = async (role: NatsRole, url: string) => {
    const nc = await connectBus({ url, name: role, user: role, password: passwordOf(role) })
    logins.push(nc)
    return nc
  }
  try {
    const runner = await login('runner', urls[0]!)
    runner.subscribe(command, { callback: (_, message) => void message.respond('done') })
    await runner.flush()

    const scheduler = await login('scheduler', urls[1]!)
    assert.equal(await answered(scheduler), 'done') // over the route: the servers have let one another in

    const gateway = await login('gateway', urls[2]!)
    const refused = refusal(gateway)
    gateway.publish(command, 'do')
    assert.match(await refused, /Permissions Violation for Publish to "concord\.ns\.c\.task\.t"/i)

    for (const credentials of [{}, { user: 'scheduler', password: 'change-me' }])
      for (const url of [urls[0]!, urls.join(',')])
        await assert.rejects(connectBus({ url, name: 'anybody', ...credentials }), (error) =>
          isCode(error, 'ERR_NATS_REFUSED'),
        )
  } finally {
    await Promise.all(logins.map((nc) => nc.close()))
  }
})

test('users-conf.ts: a login of one namespace neither sends to another nor hears it', {
  timeout: 120_000,
}, async (t) => {
  const [url] = await startServers(t, usersConf(['team-a', 'team-b']))
  const user = 'team-a-client'
  const nc = await connectBus({ url: url!, name: user, user, password: passwordOf(user) })
  t.after(() => nc.close())
  const refused = refusal(nc)
  nc.publish('concord.team-a.in.s', 'mine')
  nc.publish('concord.team-b.in.s', 'not mine')
  assert.match(await refused, /Publish to "concord\.team-b\.in\.s"/i)
  const deaf = refusal(nc)
  nc.subscribe('concord.team-b.out.s', { callback: () => undefined })
  assert.match(await deaf, /Subscription to "concord\.team-b\.out\.s"/i)
})

/** The answer to a command, once the servers know of the runner's subscription. */
async function answered(scheduler: NatsConnection): Promise<string> {
  for (;;) {
    const answer = await scheduler.request(command, 'do', { timeout: 60_000 }).catch((error: Error) => error)
    if (!(answer instanceof Error)) return answer.string()
    if (!/no responders/i.test(answer.message)) throw answer
  }
}

async function refusal(nc: NatsConnection): Promise<string> {
  for await (const event of nc.status()) if (event.type === 'error') return event.error.message
  throw new Error('The connection ended without one')
}

/** With the files as they are, but for folders and addresses. @returns Their URLs. */
async function startServers(t: TestContext, users = read('users.conf')): Promise<string[]> {
  const ports = await freePorts(6)
  return await Promise.all(
    [0, 1, 2].map(async (index) => {
      const dir = mkdtempSync(join(tmpdir(), 'concord-deploy-'))
      writeFileSync(join(dir, 'users.conf'), users)
      const text = read('nats-server.conf')
        .replace('server_name: nats1', `server_name: nats${index + 1}`)
        .replace('"0.0.0.0:4222"', `"127.0.0.1:${ports[index]}"`)
        .replace('"0.0.0.0:6222"', `"127.0.0.1:${ports[index + 3]}"`)
        .replaceAll(/@nats(\d):6222/g, (_, server: string) => `@127.0.0.1:${ports[Number(server) + 2]}`)
        .replace('/var/lib/nats', join(dir, 'data'))
      writeFileSync(join(dir, 'nats-server.conf'), text)
      await startServer(t, dir, users)
      return `nats://127.0.0.1:${ports[index]}`
    }),
  )
}

async function startServer(t: TestContext, dir: string, users: string): Promise<void> {
  const passwords = [...users.matchAll(/user: "(.*?)", password: \$(\w+)/g)].map(([, user, variable]) => [
    variable!,
    passwordOf(user!),
  ])
  const child = spawn(
    process.env['CONCORD_NATS_SERVER'] ?? 'nats-server',
    ['-c', join(dir, 'nats-server.conf')],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin`, ...Object.fromEntries(passwords) },
    },
  )
  const exited = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await exited
    rmSync(dir, { recursive: true })
  })
  const said: string[] = []
  const { promise: ready, resolve } = Promise.withResolvers<void>()
  createInterface({ input: child.stderr }).on('line', (line) => {
    said.push(line)
    if (line.includes('Server is ready')) resolve()
  })
  await Promise.race([ready, exited])
  assert.equal(child.exitCode, null, said.join('\n'))
}
