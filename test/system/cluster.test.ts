/** `concord cluster`: several agents and schedulers on one machine, and what becomes of a function when they are killed. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Why } from '../../sdk/api/index.ts'
import { runCli } from './platform.ts'

interface Member {
  readonly name: string
  readonly state: string
  readonly pid?: number
  readonly attributes?: Readonly<Record<string, string>>
  readonly tasks?: number
}

/** What a runner finds in its environment. */
function portsOf(pid: number): string[] {
  const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  return (
    environment
      .find((line) => line.startsWith('CONCORD_PORTS='))
      ?.slice(14)
      .split(',') ?? []
  )
}

const source = `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'spread', istreams: { words: groupBy }, ostreams: [] },
  processRecord() {},
})
`

test('cluster up, ls, kill and down: the function survives its scheduler and its agent', {
  timeout: 400_000,
}, async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'concord-cluster-'))
  const env = { CONCORD_HOME: home }
  t.after(async () => {
    await runCli(['cluster', 'down'], env)
    rmSync(home, { recursive: true, force: true })
  })
  const cli = async (...words: string[]) => {
    const { code, stdout, stderr } = await runCli(words, env)
    assert.equal(code, 0, `${words.join(' ')}: ${stderr}`)
    return stdout
  }
  const ask = async <T>(...words: string[]) => JSON.parse(await cli(...words, '--json')) as T
  const ls = () => ask<Member[]>('cluster', 'ls')
  const until = async <T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> => {
    for (const endMs = performance.now() + 180_000; ; await sleep(100)) {
      const found = await look()
      if (found !== undefined && found !== false) return found
      assert.ok(performance.now() < endMs, `never: ${what}`)
    }
  }

  const many = ['--agents', '3', '--schedulers', '2']
  const up = await runCli(['cluster', 'up', '--detach', '--ports', 'free', ...many], env)
  assert.match(up.stderr, /^'concord cluster down' stops it\./m)
  assert.equal(up.code, 0)
  const members = await ls()
  const agents = members.filter(({ attributes }) => attributes !== undefined)
  assert.deepEqual(
    agents.map(({ name, attributes }) => [name, attributes?.['zone'], attributes?.['rack']]),
    [
      ['agent-1', 'a', 'r1'],
      ['agent-2', 'b', 'r1'],
      ['agent-3', 'c', 'r2'],
    ],
  )
  const leads = (all: readonly Member[]) => all.find(({ state }) => state === 'leads')?.name
  assert.equal(leads(members), 'scheduler-1')

  const { pid } = members.find(({ name }) => name === 'minimesos')!
  process.kill(pid!, 'SIGSTOP')
  const unanswered = await ls()
  process.kill(pid!, 'SIGCONT')
  assert.deepEqual(unanswered.at(-1), { name: 'agents', state: 'unknown: no minimesos answers that leads' })
  assert.deepEqual(
    unanswered.slice(0, -1).map(({ name }) => name),
    members.filter(({ attributes }) => attributes === undefined).map(({ name }) => name),
  )

  const folder = mkdtempSync(join(home, 'spread-'))
  writeFileSync(join(folder, 'spread.ts'), source)
  const placement = { constraints: ['hostname unique', 'zone in a, b, c'] }
  const resources = { cpus: 0.1, memMib: 160, ports: 2 }
  const file = { main: 'spread.ts', instances: 3, resources, placement }
  writeFileSync(join(folder, 'concord.jsonc'), JSON.stringify(file))
  await cli('fn', 'deploy', folder)
  const why = () => ask<Why>('fn', 'why', 'spread')
  const whereOf = ({ instances }: Why) => instances.map(({ hostname }) => hostname ?? '-').sort()
  const spread = await why()
  assert.deepEqual(whereOf(spread), ['agent-1', 'agent-2', 'agent-3'])
  assert.match(spread.instances[0]?.why[0] ?? '', /offers? seen, .* suit/)
  const running = await ask<{ instances: { pid: number }[] }>('fn', 'inspect', 'spread')
  const ports = running.instances.flatMap(({ pid }) => portsOf(pid))
  assert.equal(new Set(ports).size, 6, `each runner has two ports of its own: ${ports}`)

  await cli('cluster', 'kill', 'scheduler-1')
  await until('the other scheduler leads', async () => leads(await ls()) === 'scheduler-2')
  await cli('cluster', 'kill', 'agent-2')
  const down = (await ls()).find(({ name }) => name === 'agent-2')
  assert.deepEqual([down?.state, down?.tasks], ['down', 0])
  // Nobody waits for its silence: the master says that it has lost the agent. It is no fault of the function.
  const alone = await until('its instance is known to be gone', async () => {
    const now = await why()
    return now.instancesRunning === 2 && now.instances.find(({ state }) => state === 'waiting')
  })
  assert.equal(alone.hostname, undefined)
  await cli('cluster', 'start', 'agent-2')
  const again = await until('it runs again', async () => {
    const now = await why()
    return now.instancesRunning === 3 && now
  })
  assert.deepEqual(whereOf(again), ['agent-1', 'agent-2', 'agent-3'])
  const { instances } = await ask<{ instances: { restarts: number }[] }>('fn', 'inspect', 'spread')
  assert.ok(instances.every(({ restarts }) => restarts === 0))
  const unknown = await runCli(['cluster', 'kill', 'agent-9'], env)
  assert.equal(unknown.code, 4)
  assert.match(unknown.stderr, /'agent-9': there is none of that name; there are .*agent-1/)

  // Another cluster on the same home knows nothing of what ran on this one: none of it may be left in the store.
  await cli('cluster', 'kill', 'nats-server')
  await cli('cluster', 'down')
  await cli('cluster', 'up', '--detach', '--ports', 'free', '--agents', '1', '--schedulers', '1')
  const fresh = await why()
  assert.ok(fresh.instances.every(({ state, hostname }) => state !== 'running' || hostname === 'agent-1'))
  await until('what finds room runs, and the rest says why not', async () => {
    const now = await why()
    const waits = now.instances.filter(({ state }) => state === 'waiting')
    return now.instancesRunning === 1 && waits.length === 2 && waits.every((one) => one.why.length > 0)
  })
})

test('cluster up takes --zookeeper alone for one server, and says what it takes no number for', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'concord-cluster-'))
  t.after(() => rmSync(home, { recursive: true, force: true }))
  const refusal = async (...words: string[]) => {
    const { code, stderr } = await runCli(['cluster', 'up', ...words], { CONCORD_HOME: home })
    assert.equal(code, 2)
    return stderr
  }
  assert.match(
    await refusal('--zookeeper', '--agents', '99'),
    /--agents takes a whole number from 1 to 16, not '99'/,
  )
  assert.match(await refusal('--masters', '2'), /--masters 2 takes --zookeeper too/)
})
