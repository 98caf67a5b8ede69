import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { connectBus } from '../bus/index.ts'
import { freePorts } from '../free-ports.ts'
import { endNatsServer } from '../nats/index.ts'
import { isAlive, type ProcessId, processEnded, processId } from '../process.ts'
import { bundleFile } from '../programs.mjs'
import { loadCredentials } from './credentials.ts'
import { homeOf } from './home.ts'
import { readUpFile, UpRecord } from './up-file.ts'

interface Ready {
  readonly url: string
  readonly natsUrl: string
  readonly home: string
  readonly tokenFile: string
}

interface Up {
  readonly child: ChildProcess
  readonly ready: Ready
  readonly exited: Promise<unknown[]>
}

const flags = ['--disable-warning=ExperimentalWarning']

/** A home that is ended and removed after the test, whatever has happened to its `up`. */
async function makeHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'concord-up-'))
  t.after(async () => {
    await down(home)
    await rm(home, { recursive: true })
  })
  return home
}

function spawnUp(
  home: string,
  args: readonly string[] = ['--ports', 'free'],
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  return spawn(process.execPath, [...flags, bundleFile('infra/local/up.ts'), '--home', home, ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

async function up(home: string, ...rest: [args?: readonly string[], env?: NodeJS.ProcessEnv]): Promise<Up> {
  const child = spawnUp(home, ...rest)
  const exited = once(child, 'exit')
  child.stderr!.resume()
  const { value } = await createInterface(child.stdout!)[Symbol.asyncIterator]().next()
  return { child, exited, ready: JSON.parse(String(value)) as Ready }
}

/** An `up` that must not come up: its exit code and what it says. */
async function upRefused(home: string, args?: readonly string[], env?: NodeJS.ProcessEnv) {
  const child = spawnUp(home, args, env)
  const [[code], said] = await Promise.all([once(child, 'exit'), text(child.stderr!)])
  return { code, said }
}

/** @param fileKib The bound on a file's size: 0 stands for a full disk. */
async function down(home: string, fileKib: number | 'unlimited' = 'unlimited') {
  const limited = `trap '' XFSZ; ulimit -f ${fileKib}; exec "$@"`
  const command = [process.execPath, ...flags, bundleFile('infra/local/down.ts'), '--home', home]
  const child = spawn('sh', ['-c', limited, 'sh', ...command], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [[code], said] = await Promise.all([once(child, 'exit'), text(child.stdout)])
  assert.equal(code, 0)
  return JSON.parse(said) as { up: boolean; tasks: number; natsServer: boolean }
}

async function running(home: string): Promise<Record<string, ProcessId>> {
  return (await readUpFile(homeOf(home)))!.processes
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await setTimeout(20) // the test's own time limit bounds it
}

async function answers(url: string): Promise<boolean> {
  return fetch(`${url}/readyz`).then(
    (response) => response.ok,
    () => false,
  )
}

/** 0 of a file that has gone meanwhile. */
async function modeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ mode }) => mode & 0o777,
    () => 0,
  )
}

const limits = { timeout: 240_000 }

test(
  'up makes a home that only its owner can read, prints its address, and leaves nothing running after SIGTERM',
  limits,
  async (t) => {
    const home = await makeHome(t)
    await chmod(home, 0o755)
    const { child, ready, exited } = await up(home)
    const { url, token } = JSON.parse(await readFile(join(home, 'client.json'), 'utf8')) as {
      url: string
      token: string
    }
    assert.equal(url, ready.url)
    assert.equal((await readFile(ready.tokenFile, 'utf8')).trim(), token)
    for (const name of await readdir(home, { recursive: true }))
      assert.equal((await modeOf(join(home, name))) & 0o077, 0, name)
    assert.equal(await modeOf(home), 0o700)
    const withToken = await fetch(`${url}/v1/functions`, { headers: { authorization: `Bearer ${token}` } })
    assert.deepEqual([withToken.status, (await fetch(`${url}/v1/functions`)).status], [200, 401])
    await assert.rejects(connectBus({ url: ready.natsUrl, name: 'stranger' }), { code: 'ERR_NATS_REFUSED' })

    const refused = await upRefused(home)
    assert.equal(refused.code, 5)
    assert.match(refused.said, new RegExp(`already with ${home} \\(pid ${child.pid}\\)`))

    const processes = await running(home)
    assert.deepEqual(Object.keys(processes).sort(), ['gateway', 'minimesos', 'nats-server', 'scheduler'])
    child.kill('SIGHUP') // means nothing
    child.kill('SIGTERM')
    assert.deepEqual(await exited, [0, null])
    for (const [name, id] of Object.entries(processes)) assert.equal(isAlive(id), false, name)
    assert.deepEqual(await down(home), {
      ...{ stopped: true, up: false, killed: false, tasks: 0, natsServer: false },
      ...{ givenUpRecords: 0, killedInstances: [], tasksLeft: 0 },
    })
  },
)

test(
  'up restarts processes that die, on the same ports, also while it cannot write which ones run',
  limits,
  async (t) => {
    const home = await makeHome(t)
    const { child, ready } = await up(home)
    const before = await running(home)
    for (const { pid } of Object.values(before)) process.kill(pid, 'SIGKILL')
    await until(async () => {
      const now = await running(home)
      return Object.keys(before).every((name) => now[name]!.pid !== before[name]!.pid && isAlive(now[name]!))
    })
    await until(() => answers(ready.url))
    const { nats } = JSON.parse(await readFile(join(home, 'credentials.json'), 'utf8'))
    const nc = await connectBus({ url: ready.natsUrl, name: 'test', ...nats.gateway })
    await nc.close()
    const inTheWay = join(home, `up.json.${child.pid}.tmp`) // as a full disk would be
    await mkdir(inTheWay)
    const { gateway } = await running(home)
    process.kill(gateway!.pid, 'SIGKILL')
    await until(async () => {
      assert.equal(child.exitCode, null)
      return !isAlive(gateway!) && (await answers(ready.url))
    })
    await rmdir(inTheWay)
    assert.deepEqual(await down(home), {
      stopped: true,
      up: true,
      tasks: 0,
      natsServer: false,
      ...{ killed: false, givenUpRecords: 0, killedInstances: [], tasksLeft: 0 },
    })
    for (const id of Object.values(await running(home))) assert.equal(isAlive(id), false)
  },
)

test(
  'up that is killed leaves nats-server running, and the next one adopts it and keeps the ports',
  limits,
  async (t) => {
    const home = await makeHome(t)
    const first = await up(home)
    const before = await running(home)
    first.child.kill('SIGKILL')
    await first.exited
    for (const name of ['gateway', 'scheduler', 'minimesos']) {
      assert.equal(await processEnded(before[name]!, 60_000), true, name)
    }
    assert.equal(isAlive(before['nats-server']!), true)

    const [port] = await freePorts(1)
    const between = await up(home, ['--gateway-port', String(port)])
    assert.equal(between.ready.url, `http://127.0.0.1:${port}`)
    between.child.kill('SIGKILL')
    await between.exited
    const second = await up(home, [])
    assert.deepEqual([second.ready.url, second.ready.natsUrl], [first.ready.url, first.ready.natsUrl])
    assert.deepEqual((await running(home))['nats-server'], before['nats-server'])
    second.child.kill('SIGTERM')
    assert.deepEqual(await second.exited, [0, null])
    assert.equal(isAlive(before['nats-server']!), false)
  },
)

test(
  'up tells the command line another token as soon as the gateway has started with it',
  limits,
  async (t) => {
    const home = await makeHome(t)
    const { child, ready, exited } = await up(home)
    const { gateway } = await running(home)
    await writeFile(ready.tokenFile, 'another-token-of-some-length\n')
    process.kill(gateway!.pid, 'SIGKILL')
    const client = join(home, 'client.json')
    const told = async () => JSON.parse(await readFile(client, 'utf8')) as { url: string; token: string }
    while ((await told()).token !== 'another-token-of-some-length') await setTimeout(20)
    const { url, token } = await told()
    assert.equal(url, ready.url)
    const { status } = await fetch(`${url}/v1/functions`, { headers: { authorization: `Bearer ${token}` } })
    assert.equal(status, 200)
    child.kill('SIGTERM')
    await exited
    assert.equal(existsSync(client), false)
  },
)

test('down does not know what was lost with an up that did not say so', limits, async (t) => {
  const home = await makeHome(t)
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' })
  await once(child, 'spawn')
  const file = { schema: 1, up: processId(child.pid!)!, processes: {}, freePorts: {} } as const
  await new UpRecord(homeOf(home), file).change({})
  const found = { stopped: true, up: true, tasks: 0, natsServer: false, killed: false }
  assert.deepEqual(await down(home), { ...found, givenUpRecords: null, killedInstances: null, tasksLeft: 0 })
})

test('down knows neither what was lost nor who was killed where no scheduler said so', limits, async (t) => {
  const home = await makeHome(t)
  const { child, exited } = await up(home)
  const { gateway, scheduler } = await running(home)
  process.kill(scheduler!.pid, 'SIGSTOP')
  child.kill('SIGTERM')
  assert.equal(await processEnded(gateway!, 60_000), true)
  process.kill(scheduler!.pid, 'SIGKILL')
  assert.deepEqual(await exited, [0, null])
  assert.deepEqual(await down(home), {
    ...{ stopped: true, up: false, killed: false, tasks: 0, natsServer: false },
    ...{ givenUpRecords: null, killedInstances: null, tasksLeft: 0 },
  })
})

test('down ends the processes that a killed up has left, on a full disk too', limits, async (t) => {
  const home = await makeHome(t)
  const { child, exited } = await up(home)
  child.kill('SIGKILL')
  await exited
  const left = (await running(home))['nats-server']!
  assert.equal(isAlive(left), true)
  assert.equal(existsSync(homeOf(home).client), true)
  assert.deepEqual(await down(home, 0), {
    ...{ stopped: true, up: false, killed: false, tasks: 0, natsServer: true },
    ...{ givenUpRecords: null, killedInstances: null, tasksLeft: 0 },
  })
  assert.equal(existsSync(homeOf(home).client), false)
  assert.equal(isAlive(left), false)
})

test('down ends a ZooKeeper whose up was killed before it served', limits, async (t) => {
  const home = await makeHome(t)
  const bin = join(home, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'java'), '#!/bin/sh\nexec sleep 1000\n', { mode: 0o700 })
  const child = spawnUp(home, ['--zookeeper', '1'], { PATH: `${bin}:${process.env['PATH']}` })
  const exited = once(child, 'exit')
  child.stderr!.resume()
  const zookeeper = async () => (await readUpFile(homeOf(home)))?.processes['zookeeper-1']
  await until(async () => (await zookeeper()) !== undefined)
  child.kill('SIGKILL')
  await exited
  const id = (await zookeeper())!
  assert.equal(isAlive(id), true)
  await down(home)
  assert.equal(isAlive(id), false)
})

test('up stays up, and stops all it started, although it cannot write what it is', limits, async (t) => {
  const home = await makeHome(t)
  const child = spawnUp(home)
  const exited = once(child, 'exit')
  child.stderr!.resume()
  /** As a full disk would. */
  const getInTheWay = (name: string) =>
    mkdir(join(home, `${name}.${child.pid}.tmp`)).then(
      () => true,
      () => false, // it is being written
    )
  await getInTheWay('client.json')
  await until(() => existsSync(homeOf(home).up)) // the first time it must be written
  await until(() => getInTheWay('up.json'))
  const { value } = await createInterface(child.stdout!)[Symbol.asyncIterator]().next()
  const { url } = JSON.parse(String(value)) as Ready
  assert.equal(await answers(url), true)
  child.kill('SIGTERM')
  assert.deepEqual(await exited, [0, null])
  assert.equal(await answers(url), false)
  assert.equal(await endNatsServer(join(home, 'nats')), false)
})

test('up starts although the process that started it has gone', limits, async (t) => {
  const home = await makeHome(t)
  const child = spawnUp(home)
  const exited = once(child, 'exit')
  child.stdout!.destroy()
  child.stderr!.resume()
  const client = () => readFile(homeOf(home).client, 'utf8').catch(() => '')
  await until(async () => (await client()) !== '')
  const { url } = JSON.parse(await client()) as Ready
  await until(() => answers(url))
  assert.equal((await down(home)).up, true)
  assert.deepEqual(await exited, [0, null]) // `down` may know it before us
})

test('up with CONCORD_PARENT=stdin stops when stdin closes, also while it starts', limits, async (t) => {
  const home = await makeHome(t)
  const child = spawnUp(home, undefined, { CONCORD_PARENT: 'stdin' })
  const exited = once(child, 'exit')
  child.stdout!.resume()
  child.stderr!.resume()
  child.stdin!.end()
  assert.deepEqual(await exited, [0, null])
  for (const id of Object.values(await running(home).catch(() => ({})))) assert.equal(isAlive(id), false)
})

test('up refuses a taken port in one line, and leaves nothing running', limits, async (t) => {
  const home = await makeHome(t)
  const stranger = createServer().listen(0, '127.0.0.1')
  await once(stranger, 'listening')
  t.after(() => stranger.close())
  const { port } = stranger.address() as { port: number }
  for (const flag of ['--gateway-port', '--nats-port', '--mesos-port']) {
    const { code, said } = await upRefused(home, ['--ports', 'free', flag, String(port)])
    assert.equal(code, 5)
    assert.match(said, new RegExp(`^Cannot start.* port ${port}\\..* ${flag}.*\\n$`))
    for (const id of Object.values(await running(home))) assert.equal(isAlive(id), false)
    assert.equal(await endNatsServer(join(home, 'nats')), false)
  }
})

test('up refuses a port to which fetch does not connect, before it starts anything', limits, async (t) => {
  const home = await makeHome(t)
  for (const flag of ['--gateway-port', '--mesos-port']) {
    const { code, said } = await upRefused(home, ['--ports', 'free', flag, '6000'])
    assert.equal(code, 2)
    assert.match(said, new RegExp(`^Cannot start: no HTTP client .* port 6000.* with ${flag}, .*\\n$`))
  }
  assert.ok(!existsSync(join(home, 'up.json')))
})

test(
  'up says what to do without a nats-server, with a damaged file and with a bad flag',
  limits,
  async (t) => {
    const home = await makeHome(t)
    const missing = await upRefused(home, undefined, { CONCORD_NATS_SERVER: '/nowhere/nats-server' })
    assert.equal(missing.code, 1)
    assert.match(
      missing.said,
      /^Cannot start NATS: '\/nowhere\/nats-server' is not installed\. Install it.*\n$/,
    )
    for (const id of Object.values(await running(home))) assert.equal(isAlive(id), false)

    const flag = await upRefused(home, ['--port', '1'])
    assert.deepEqual([flag.code, /--port/.test(flag.said)], [2, true])

    await writeFile(join(home, 'credentials.json'), '{}')
    const damaged = await upRefused(home)
    assert.equal(damaged.code, 1)
    assert.match(damaged.said, /credentials in .*damaged/)

    await rm(join(home, 'credentials.json'))
    await mkdir(join(home, 'credentials.json'))
    const unexpected = await upRefused(home)
    assert.equal(unexpected.code, 1)
    assert.match(unexpected.said, /\nCannot start: EISDIR: .*\n$/)
    await rmdir(join(home, 'credentials.json'))
  },
)

test('up refuses another number of nats-servers than its home began with', limits, async (t) => {
  const home = await makeHome(t)
  const two = await upRefused(home, ['--ports', 'free', '--nats', '2'])
  assert.equal(two.code, 2)
  assert.match(two.said, /--nats takes 1 or 3, not '2'/)
  const { child, exited } = await up(home)
  child.kill('SIGTERM')
  await exited
  const three = await upRefused(home, ['--ports', 'free', '--nats', '3'])
  assert.equal(three.code, 2)
  assert.match(
    three.said,
    /Cannot start 3 nats-servers: .* lies on 1, .* leave --nats out; .* another --home\n$/,
  )
})

test('up refuses another store than its home began with', limits, async (t) => {
  const home = await makeHome(t)
  const { child, exited } = await up(home)
  child.kill('SIGTERM')
  await exited
  const servers = await upRefused(home, ['--ports', 'free', '--zookeeper', '3'])
  assert.equal(servers.code, 2)
  assert.match(
    servers.said,
    /Cannot start with the store in 3 ZooKeeper servers: .* lies in the file .*store\.sqlite, .* leave --zookeeper out; .* another --home\n$/,
  )

  const ensemble = await makeHome(t)
  await loadCredentials(homeOf(ensemble))
  for (const server of [1, 2, 3])
    await mkdir(join(ensemble, 'zookeeper', `server-${server}`, 'data', 'version-2'), { recursive: true })
  for (const [args, wanted] of [
    [[], 'a file'],
    [['--zookeeper', '1'], 'one ZooKeeper server'],
  ] as const) {
    const { code, said } = await upRefused(ensemble, ['--ports', 'free', ...args])
    assert.equal(code, 2)
    assert.match(said, new RegExp(`store in ${wanted}: .* lies in 3 ZooKeeper servers, .*say --zookeeper 3`))
  }
})

test(
  'a copy of a home is refused while its original runs, and nothing of that is ended',
  limits,
  async (t) => {
    const home = await makeHome(t)
    const { child, exited } = await up(home)
    const before = await running(home)
    const copy = `${home}-copy`
    await cp(home, copy, { recursive: true })
    t.after(() => rm(copy, { recursive: true }))
    const refused = await upRefused(copy, [])
    assert.deepEqual([refused.code, /is a copy of .*concord down --home/.test(refused.said)], [5, true])
    await assert.rejects(down(copy))
    for (const [name, id] of Object.entries(before)) assert.equal(isAlive(id), true, name)
    child.kill('SIGTERM')
    assert.deepEqual(await exited, [0, null])
  },
)

test('down of an unused home does nothing', limits, async (t) => {
  const home = await makeHome(t)
  await mkdir(join(home, 'empty'))
  assert.deepEqual(await down(join(home, 'empty')), {
    ...{ stopped: true, up: false, killed: false, tasks: 0, natsServer: false },
    ...{ givenUpRecords: 0, killedInstances: [], tasksLeft: 0 },
  })
})
