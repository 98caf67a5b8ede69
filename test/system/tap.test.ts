import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Platform, Reader } from './platform.ts'

const source = `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'chancy', istreams: { 'chancy-in': groupBy }, ostreams: ['chancy-out'], onError: 'fail' },
  processRecord(ctx, record) {
    const count = ctx.counter(record.key).add()
    ctx.produceRecord('chancy-out', record.key, [record.text(), count, Date.now(), Math.random(), crypto.randomUUID()].join(' '))
    if (record.text() === 'boom') throw new RangeError('no booms')
  },
})
`

test('what an instance was given is shown, run again to the same outputs on this machine, and kept when it fails', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('chancy', source)
  const out = await Reader.start(t, platform, ['chancy-out', '--hold'])
  const idle = await platform.cli(['fn', 'tap', 'chancy', '--instance', 'chancy-0'])
  assert.match(idle.stdout, /^The tap of chancy-0 holds no records: it was given none since it began/)
  const inputs = Array.from({ length: 40 }, (_, i) =>
    JSON.stringify({ key: `k${i % 3}`, value: `value ${i}` }),
  )
  await platform.json(['produce', 'chancy-in', '--ndjson'], inputs.join('\n'))
  await out.read(40)
  const shown = await platform.cli(['fn', 'tap', 'chancy', '--tail', '5'])
  assert.match(
    shown.stdout,
    /^TIME +STREAM +RECORD +KEY +VALUE\n(.*chancy-in\/\d+ +#\d+ +k\d +value \d+\n){5}$/,
  )

  const file = join(platform.home, 'chancy.tap.json')
  await platform.json(['fn', 'tap', 'chancy', '-o', file])
  const replayed = await platform.cli(['fn', 'replay', file])
  const values = new Set(out.records.map(({ value }) => value))
  const lines = replayed.stdout.trimEnd().split('\n')
  assert.equal(lines.length, 40)
  assert.ok(
    lines.every((line) => values.has(line.replace(/^chancy-out\/\d+ k\d /, ''))),
    replayed.stdout,
  )
  assert.match(replayed.stderr, /40 records, 40 outputs, 0 errors: the same as then/)
  const mine = join(platform.home, 'mine.ts')
  writeFileSync(mine, source.replace('Math.random()', '0.5'))
  const differs = await platform.cli(['fn', 'replay', file, '--source', mine, '--json'])
  assert.equal(differs.code, 1)
  const other = JSON.parse(differs.stdout) as { same: boolean; chapters: { records: number }[] }
  assert.equal(other.same, false)
  assert.equal(
    other.chapters.reduce((sum, { records }) => sum + records, 0),
    40,
  )

  await platform.json(['produce', 'chancy-in', '--ndjson'], JSON.stringify({ key: 'k0', value: 'boom' }))
  await platform.until('chancy', (d) => d.state === 'running' && d.instances[0]!.restarts > 0)
  const keptAt = /what it was last given is in (\S+\.json);/
  const logs = await platform.untilLogged('chancy', keptAt)
  assert.match(logs, /last inputs: chancy-in\/\d+ #\d+ key 'k0' value 'boom'/)
  const [, kept] = keptAt.exec(logs)!
  const crash = await platform.json<{ same: boolean; chapters: { errors: string[] }[] }>([
    'fn',
    'replay',
    kept!,
  ])
  assert.equal(crash.same, true)
  assert.deepEqual(crash.chapters.at(-1)!.errors, ['RangeError: no booms (fail)'])

  const unknown = await platform.cli(['fn', 'tap', 'chancy', '--instance', '9'])
  assert.match(
    unknown.stderr,
    /Cannot read the tap of instance 'chancy-9': there is none of that id at work: of 'chancy' chancy-0 is/,
  )
  const empty = join(platform.home, 'empty.json')
  writeFileSync(empty, '{}')
  assert.match(
    (await platform.cli(['fn', 'replay', empty])).stderr,
    /Cannot read .*empty\.json: Cannot read this as a tap/,
  )
})
