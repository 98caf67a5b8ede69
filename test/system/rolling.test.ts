import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { functionOf } from './load/records.ts'
import { Traffic } from './load/traffic.ts'
import { Platform } from './platform.ts'

const chances = { throwsPerMillion: 0, timersPerMillion: 2_000, asyncPerMillion: 100 }
const instances = 4

/** Two instances in each of two runners, so that runners have instances of both versions. */
function project(
  platform: Platform,
  name: string,
): (source: string, trialMs: number, more?: object) => string {
  const folder = join(platform.home, name)
  mkdirSync(folder)
  return (source, trialMs, more = {}) => {
    const manifest = {
      ...{ main: 'index.ts', instances, instancesPerRunner: 2, resources: { cpus: 0.1, memMib: 160 } },
      ...{ trial: { records: 1_000_000_000, ms: trialMs }, ...more },
    }
    writeFileSync(join(folder, 'concord.jsonc'), JSON.stringify(manifest))
    writeFileSync(join(folder, 'index.ts'), source)
    return folder
  }
}

function killScheduler({ home }: Platform): void {
  const { processes } = JSON.parse(readFileSync(join(home, 'up.json'), 'utf8')) as {
    processes: Record<string, { pid: number }>
  }
  process.kill(processes['scheduler']!.pid, 'SIGKILL')
}

test('a version comes to one instance after the other, also with a new leader in the middle; a bad one to the first only; no record is lost', {
  timeout: 600_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'rolls'
  const folderOf = project(platform, name)
  const good = functionOf({ name, ...chances })
  // A runner that a machine without a CPU to spare ends as frozen while it starts is started again: no deploy hears of that.
  await platform.json(['fn', 'deploy', folderOf(good, 1_000), '--no-wait'])
  await platform.until(name, ({ state }) => state === 'running')
  const records = Number.POSITIVE_INFINITY
  const traffic = await Traffic.start(t, platform, { name, producers: 2, records, rate: 5_000 })
  const working = await platform.until(name, ({ recordsIn }) => recordsIn > 5_000)

  const deployed = platform.cli([
    'fn',
    'deploy',
    folderOf(`${good}\nconsole.log(2)`, 1_500),
    ...['--rolling', '1', '--timeout', '180'],
  ])
  const seen: number[] = []
  let isKilled = false
  const last = await platform.until(name, ({ rolling, state, version }) => {
    if (rolling !== undefined) {
      seen.push(rolling.wave)
      assert.deepEqual([rolling.version, rolling.from, rolling.width, rolling.wanted], [2, 1, 1, 4])
    }
    if (rolling !== undefined && rolling.wave >= 2 && !isKilled) {
      isKilled = true
      killScheduler(platform)
    }
    return version === 2 && state === 'running'
  })
  const answer = await deployed
  assert.equal(answer.code, 0, answer.stderr)
  assert.match(answer.stderr, /wave \d +rolls-0/)
  assert.deepEqual(
    seen,
    seen.toSorted((one, other) => one - other),
    'a new leader does not begin anew',
  )
  assert.ok(isKilled && seen[0]! >= 1 && seen.at(-1)! <= 4)
  const tasks = (detail: typeof last) => detail.instances.map(({ taskId }) => taskId)
  assert.deepEqual(tasks(last), tasks(working), 'in place')
  await platform.until(name, ({ rolling }) => rolling === undefined)

  const bad = good.replace('fail(0)', "if (number % 50 === 0) throw new Error('a bad version')")
  const throws = await platform.cli(['fn', 'deploy', folderOf(bad, 20_000, { rollout: { rolling: 1 } })])
  assert.equal(throws.code, 6, throws.stderr)
  assert.match(
    throws.stderr,
    /v3 has failed, v2 runs as before: in wave 1 of its rolling change, rolls-0: .*a bad version/,
  )
  const end = await platform.until(name, ({ state }) => state === 'running')
  assert.deepEqual(
    end.instances.map(({ version }) => version),
    [2, 2, 2, 2],
  )
  traffic.stop()
  const { sent, unaccounted, sunk, verdict, text } = await traffic.judged()
  t.diagnostic(`${sent} records`)
  assert.ok(verdict.sound, text)
  assert.deepEqual([unaccounted, sunk.outputs, sunk.timersFired], [0, sent, sunk.timersSet])
})
