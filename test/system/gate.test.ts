/** Versions judged on the last minutes' records before they take a live one, as a user meets it. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { DeployAnswer } from '../../sdk/api/index.ts'
import { Platform, Reader } from './platform.ts'

const records = 4_000
const keys = 100

/** Counts visits by key, and says how many. */
const source = (rule = '') => `import { defineFunction, groupBy } from 'concord'

export default defineFunction({
  metadata: { name: 'tally', istreams: { visits: groupBy }, ostreams: ['tallies'] },
  processRecord(ctx, record) {
    const key = record.keyText()
    const count = (ctx.getJson<number>(key) ?? 0) + 1
    ctx.setJson(key, count)${rule}
    ctx.produceRecord('tallies', key, JSON.stringify({ key, count }))
  },
})
`
/** What nobody can see. */
const tidied = source().replace(
  'JSON.stringify({ key, count })',
  '\'{"key":"\' + key + \'","count":\' + count + \'}\'',
)
/** The last visit of each key, and the one before, of 40. */
const changed = source("\n    if (count > 38) return ctx.produceRecord('tallies', key, 'many')")
const broken = source("\n    if (key === 'k7') throw new RangeError('no seven')")

test('a version is judged on the records of the last minutes, and its gate lets it pass, asks, or holds it up', {
  timeout: 300_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const folder = join(platform.home, 'tally')
  mkdirSync(folder)
  const cli = (code: string, gate: object | undefined, ...more: readonly string[]) => {
    writeFileSync(join(folder, 'tally.ts'), code)
    writeFileSync(
      join(folder, 'concord.jsonc'),
      JSON.stringify({ main: 'tally.ts', onError: 'skip', instances: 2, gate }),
    )
    return platform.cli(['deploy', folder, ...more])
  }
  const versions = async () => (await platform.client.versions('tally')).map(({ version }) => version)
  const first = await cli(source(), undefined)
  assert.equal(first.code, 0, first.stderr)
  const tallies = await Reader.start(t, platform, ['tallies', '--hold'])
  const visits = Array.from({ length: records }, (_, i) => `{"key":"k${i % keys}","visit":${i}}\n`).join('')
  await platform.json(['produce', 'visits', '--key-field', 'key'], visits)
  await tallies.read(records)

  // Shown alone, and changing nothing, also where it would be held up.
  const dry = await cli(changed, {}, '--dry-run', '--json')
  assert.equal(dry.code, 6, dry.stderr)
  const { dryRun, version, gate } = JSON.parse(dry.stdout) as DeployAnswer
  assert.deepEqual([dryRun, version, gate?.instances, gate?.from], [true, 1, 2, 1])
  const { found, state } = gate!.evidence
  assert.deepEqual([found.records, found.compared, found.different], [records, records, 2 * keys])
  assert.deepEqual(found.outputs, { live: records, shadow: records })
  assert.equal(state.between, 0)
  const [example = assert.fail()] = found.examples
  assert.match(example.live.outputs[0]?.value ?? '', /^\{"key":"k\d+","count":(39|40)\}$/)
  assert.equal(example.shadow.outputs[0]?.value, 'many')
  assert.deepEqual(gate?.breaches, [
    `its outputs differ for ${2 * keys} of ${records} records, 5.00 % (gate.maxDiff 2.00 %)`,
  ])
  assert.deepEqual(await versions(), [1])

  const blocked = await cli(changed, {})
  assert.equal(blocked.code, 6)
  assert.match(blocked.stderr, /match {5}95\.00 % of 4000 records compared: 200 differ/)
  assert.match(
    blocked.stderr,
    /visits\/\d+ #\d+ "k\d+": "\{.*\n.*tallies "k\d+": "\{.*\n.*tallies "k\d+": "many"/,
  )
  assert.match(
    blocked.stderr,
    /Cannot let this version of 'tally' follow v1: .*gate\.maxDiff.*nothing has changed/,
  )
  const thrown = await cli(broken, { maxDiff: 1, onBreach: 'ask' })
  assert.equal(thrown.code, 6)
  assert.match(thrown.stderr, /40 × RangeError: no seven at tally\.ts:9:\d+/)
  assert.match(thrown.stderr, /it throws at 40 records at which the live version does not/)
  assert.match(thrown.stderr, /If you want it anyway, deploy with --accept/)
  assert.deepEqual(await versions(), [1])

  // Asked, it goes on where that is said; one that nobody can tell apart passes by itself.
  const asks = { maxDiff: 0.01, maxSlowdown: 1000, onBreach: 'ask' }
  const accepted = await cli(changed, asks, '--accept')
  assert.equal(accepted.code, 0, accepted.stderr)
  assert.match(accepted.stdout, /tally v2 is running/)
  const back = await cli(tidied, { ...asks, maxDiff: 1, minRecords: records })
  assert.equal(back.code, 0, back.stderr)
  assert.match(back.stderr, /It passes its gate/)
  const { code, stdout } = await platform.cli(['fn', 'diff', 'tally', 'v2', 'v3'])
  assert.equal(code, 0)
  assert.match(stdout, /^manifest {2}gate\.maxDiff: 0\.01 → 1$/m)
  assert.match(stdout, /^-.*'many'\)$/m)
  assert.match(stdout, /^\+.*' \+ count \+ '/m)

  // Nobody but the version at work has put anything out.
  await platform.json(['produce', 'visits', '--key-field', 'key'], '{"key":"k1"}\n')
  await tallies.read(records + 1)
  assert.equal(tallies.records.length, records + 1)
  assert.equal((await platform.client.inspect('tally')).version, 3)
})
