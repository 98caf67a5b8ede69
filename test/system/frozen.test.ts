import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { residentBytes } from '../../runner/process/proc.ts'
import { Platform, startCli } from './platform.ts'

const slowCount = `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'count', istreams: { words: groupBy }, ostreams: [] },
  processRecord(ctx, record) { ctx.setState(record.key, record.value) },
})
`
/** The minute is driven by hand; ten seconds show the same bound. */
const stoppedMs = Number(process.env['CONCORD_TEST_FROZEN_MS'] ?? 10_000)
const growthMaxBytes = 64 * 1024 * 1024

test('a runner and its watchdog stopped under full load: memory stays bounded everywhere and nothing is lost', {
  timeout: 600_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('count', slowCount)
  const detail = await platform.until('count', (d) => d.instances[0]?.pid !== undefined)
  const runner = detail.instances[0]!.pid!
  const watchdog = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${runner}/status`, 'utf8'))![1])

  const load = startCli(['produce', 'words', '--json'], platform.env)
  t.after(() => load.kill('SIGKILL'))
  let answer = ''
  load.stdout!.on('data', (text: Buffer) => {
    answer += text.toString()
  })
  let produced = 0
  let feeding = true
  const line = `${'x'.repeat(99)}\n`
  const feed = (async () => {
    while (feeding) {
      produced += 1000
      if (!load.stdin!.write(line.repeat(1000)))
        await new Promise((resolve) => load.stdin!.once('drain', resolve))
    }
    load.stdin!.end()
  })()
  await platform.until('count', (d) => d.recordsIn > 100_000)

  const pids = [...platformPids(platform), runner, watchdog, load.pid!]
  const before = pids.map((pid) => residentBytes(pid)!)
  for (const pid of [watchdog, runner]) process.kill(pid, 'SIGSTOP')
  const peaks = [...before]
  const untilMs = performance.now() + stoppedMs
  while (performance.now() < untilMs) {
    for (const [i, pid] of pids.entries()) peaks[i] = Math.max(peaks[i]!, residentBytes(pid) ?? 0)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  for (const pid of [runner, watchdog]) process.kill(pid, 'SIGCONT')
  const growth = peaks.map((peak, i) => Math.round((peak - before[i]!) / 2 ** 20))
  t.diagnostic(`stopped for ${stoppedMs / 1000} s; growth in MiB by process: ${growth.join(', ')}`)
  for (const [i, peak] of peaks.entries())
    assert.ok(peak - before[i]! < growthMaxBytes, `process ${pids[i]} grew by ${growth[i]} MiB`)

  const resumed = (await platform.client.inspect('count')).recordsIn
  await platform.until('count', (d) => d.recordsIn > resumed + 50_000)
  feeding = false
  await feed
  await new Promise((resolve) => load.once('close', resolve))
  assert.equal((JSON.parse(answer.trimEnd().split('\n').at(-1)!) as { accepted: number }).accepted, produced)
  const end = await platform.until(
    'count',
    (d) => d.ledger[0]!.inFlight === 0 && d.ledger[0]!.sent === produced,
  )
  assert.deepEqual(
    { ...end.ledger[0] },
    {
      stream: 'words',
      sent: produced,
      processed: produced,
      dropped: {},
      inFlight: 0,
      lagMs: 0,
      unaccounted: 0,
      stateLost: 0,
    },
  )
  assert.equal(end.instances[0]!.pid, runner, 'it went on, it was not replaced')
})

function platformPids(platform: Platform): number[] {
  const { processes } = JSON.parse(readFileSync(join(platform.home, 'up.json'), 'utf8')) as {
    processes: Record<string, { pid: number }>
  }
  return [platform.upPid, ...Object.values(processes).map((p) => p.pid)]
}
