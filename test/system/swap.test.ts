import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import { functionOf } from './load/records.ts'
import { Traffic, type TrafficOptions } from './load/traffic.ts'
import { projectOf, rateOf, worked } from './load/worked.ts'
import { Platform } from './platform.ts'

/** A hundred in the long mode. */
const swaps = Number(process.env['CONCORD_SWAPS'] ?? 5)
/** Fifty in the long mode. */
const kills = Number(process.env['CONCORD_SWAP_KILLS'] ?? 2)

const chances = { throwsPerMillion: 0, timersPerMillion: 2_000, asyncPerMillion: 100 }

interface Deployed {
  readonly version: number
}

/** A project whose versions differ by their code. */
function project(platform: Platform, name: string, source: string): (more: string) => string {
  const file = join(platform.home, `${name}.ts`)
  return (more) => {
    writeFileSync(file, `${source}\n${more}`)
    return file
  }
}

async function load(
  t: TestContext,
  platform: Platform,
  name: string,
  { rate = 10_000, ...more }: Partial<TrafficOptions> = {},
): Promise<Traffic> {
  const records = Number.POSITIVE_INFINITY
  return await Traffic.start(t, platform, { name, producers: 2, records, rate, ...more })
}

test(`${swaps} versions take over under load, in place: each record once, in order, by one version, state and timers kept`, {
  timeout: 400_000 + swaps * 15_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'swapped'
  const fileOf = project(platform, name, functionOf({ name, ...chances }))
  await platform.json(['fn', 'deploy', fileOf('')])
  const quiet = await platform.cli(['fn', 'deploy', fileOf("console.log('nobody comes')")])
  assert.match(quiet.stderr, /v2 is untried: no record came while it was on trial \(1 s\)/)
  const [untried] = await platform.client.versions(name)
  assert.deepEqual([untried?.state, untried?.untried], ['live', true])
  const traffic = await load(t, platform, name)
  const first = await platform.until(name, ({ recordsIn }) => recordsIn > 5_000)
  for (let swap = 3; swap <= swaps + 2; swap++) {
    const { version } = await platform.json<Deployed>(['fn', 'deploy', fileOf(`console.log(${swap})`)])
    assert.equal(version, swap)
  }
  const last = await platform.until(name, ({ state }) => state === 'running')
  traffic.stop()
  const { sent, unaccounted, sunk, verdict, text } = await traffic.judged()
  t.diagnostic(`${sent} records, the last change took ${last.instances[0]!.swapPauseMs?.toFixed(1)} ms`)
  assert.ok(verdict.sound, text)
  assert.equal(unaccounted, 0)
  assert.equal(sunk.outputs, sent)
  assert.equal(sunk.timersFired, sunk.timersSet)
  assert.equal(last.instances[0]!.taskId, first.instances[0]!.taskId, 'in place')
  assert.equal(last.instances[0]!.version, swaps + 2)
  assert.ok(sunk.gaps.length >= swaps, `${sunk.gaps.length} changes of versions were seen`)
})

test('a version that throws is put back by itself, its records are processed by the one before; and back by hand', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'guarded'
  const good = functionOf({ name, ...chances })
  const fileOf = project(platform, name, good)
  const deploy = (...more: string[]) =>
    platform.cli(['fn', 'deploy', fileOf(`console.log(${more[0]!.length})`), ...more])
  await platform.json(['fn', 'deploy', fileOf(''), '-m', 'the first'])
  const traffic = await load(t, platform, name)
  const first = await platform.until(name, ({ recordsIn }) => recordsIn > 5_000)

  const bad = good.replace('fail(0)', "if (number % 50 === 0) throw new Error('a bad version')")
  const throws = await platform.cli(['fn', 'deploy', project(platform, name, bad)(''), '-m', 'throws'])
  assert.equal(throws.code, 6, throws.stderr)
  assert.match(throws.stderr, /v2 has failed, v1 runs as before: .*a bad version/)
  const broken = good.replace('processRecord(', "init() { throw new Error('no init') },\n  processRecord(")
  const initFails = await platform.cli(['fn', 'deploy', project(platform, name, broken)('')])
  assert.equal(initFails.code, 6, initFails.stderr)
  assert.match(initFails.stderr, /v3 has failed, v1 runs as before: .*no init/)

  const regrouped = good.replaceAll('groupBy', 'shuffle')
  const refused = await platform.cli(['fn', 'deploy', project(platform, name, regrouped)('')])
  assert.equal(refused.code, 5, refused.stderr)
  assert.match(refused.stderr, /it groups 'guarded-in' by shuffle, not groupBy/)

  const fourth = await deploy('--message', 'harmless', '--mem', '160', '--author', 'ada')
  assert.equal(fourth.code, 0, fourth.stderr)
  await platform.json(['fn', 'rollback', name, '--author', 'bob'])
  const fifth = await deploy('--message', 'fifth')
  assert.equal(fifth.code, 0, fifth.stderr)
  await platform.json(['fn', 'rollback', name])
  const back = await platform.until(name, ({ state }) => state === 'running')
  assert.deepEqual([back.version, back.instances[0]!.taskId], [1, first.instances[0]!.taskId])
  traffic.stop()
  const { sent, unaccounted, sunk, verdict, text } = await traffic.judged()
  assert.ok(verdict.sound, text)
  assert.deepEqual([unaccounted, sunk.outputs], [0, sent])

  const versions = await platform.client.versions(name)
  assert.deepEqual(
    versions.map(({ version, state, message, author }) => [version, state, message ?? '', author === 'ada']),
    [
      [5, 'rolledBack', 'fifth', false],
      [4, 'rolledBack', 'harmless', true],
      [3, 'failed', '', false],
      [2, 'failed', 'throws', false],
      [1, 'live', 'the first', false],
    ],
  )
  const diff = await platform.cli(['fn', 'diff', name, 'v1', 'v4'])
  assert.match(diff.stdout, /manifest {2}resources\.memMib: 256 → 160/)
  const unknown = await platform.cli(['fn', 'rollback', name, '--to', 'v9'])
  assert.deepEqual([unknown.code, /There is no v9/.test(unknown.stderr)], [4, true], unknown.stderr)
})

test(`a runner killed ${kills} times while versions change: one version everywhere, what is missing is accounted for`, {
  timeout: 400_000 + kills * 90_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'struck'
  const writeVersion = project(
    platform,
    name,
    functionOf({ name, ...chances, timersPerMillion: 0, keepsState: false }),
  )
  const more = { instances: 2, instancesPerRunner: 2, resources: { memMib: 64 } }
  const deploy = (text: string) => {
    writeVersion(text)
    return platform.cli(['deploy', projectOf(platform, name, more)])
  }
  await deploy('')
  const traffic = await load(t, platform, name, { rate: rateOf(kills), valueBytes: 500 })
  const works = ({ instances, state }: FunctionDetail): boolean =>
    state === 'running' && instances.every(({ recordsIn }) => recordsIn > 1_000)
  await platform.until(name, works)
  /** Until its runner has been told of another version, which it then makes ready. */
  const begun = async ({ pid, version }: FunctionDetail['instances'][number]): Promise<void> => {
    const isBegun = ({ instances: [one] }: FunctionDetail): boolean =>
      one?.pid !== pid || one?.version !== version || one?.swap !== undefined
    await platform.until(name, isBegun, undefined, 2)
  }
  const first = (await platform.client.inspect(name)).instances[0]!
  const letBe = deploy("console.log('one that is let be')")
  await begun(first)
  const startMs = performance.now()
  await platform.until(name, (detail) => works(detail) && detail.version !== first.version, undefined, 2)
  const swapMs = performance.now() - startMs
  await letBe
  const hit = new Map<string, number>()
  for (let kill = 0; kill < kills; kill++) {
    const struck = (await worked(platform, name, kills, works)).instances[0]!
    const { pid, version: before } = struck
    const deployed = deploy(`console.log(${kill})`)
    await begun(struck)
    await new Promise((resolve) => setTimeout(resolve, Math.random() * swapMs)) // a random point, not a wait
    const [one] = (await platform.client.inspect(name)).instances
    // A runner that ends in order makes room for one that shares in another way: the swap is then one from task to task.
    const exit = one?.pid === pid ? undefined : one?.lastExit?.reason
    const point = exit ?? one?.swap?.state ?? (one?.version === before ? 'before' : 'after')
    hit.set(point, (hit.get(point) ?? 0) + 1)
    const victim = one?.pid ?? pid!
    signal(victim)
    await deployed
    await platform.until(
      name,
      ({ instances, state, version }) =>
        state === 'running' && instances.every((one) => one.version === version && one.pid !== victim),
    )
  }
  traffic.stop()
  const { sent, unaccounted, loss } = await traffic.judged(kills)
  t.diagnostic(
    `${sent} records, ${unaccounted} unaccounted, ${loss} missing; killed ${[...hit].map(([point, times]) => `${point} ${times}`).join(', ')}`,
  )
})

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it has ended meanwhile
  }
}
