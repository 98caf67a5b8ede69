/** Assets as a user meets them: pushed under load, put back, shared by the instances of a runner. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AssetList } from '../../sdk/api/assets.ts'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import { accountsText } from '../../sdk/api/memory.ts'
import { functionOf, partitions } from './load/records.ts'
import { Traffic } from './load/traffic.ts'
import { Platform } from './platform.ts'

interface Deployed {
  readonly version: number
  readonly bundleSha256: string
}

test('a model is pushed under load, and rolled back: each record once, by one model, the old one before the new one', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const name = 'scored'
  // An output says which model has made it, where a load's usual one says the version.
  const source = functionOf({ name, throwsPerMillion: 0, timersPerMillion: 2_000, asyncPerMillion: 100 })
  const file = join(platform.home, `${name}.ts`)
  writeFileSync(file, source.replaceAll('ctx.version', "ctx.asset('model').json().number"))
  const model = (number: number): string => {
    const path = join(platform.home, 'model')
    writeFileSync(path, JSON.stringify({ number }))
    return path
  }
  const first = await platform.json<Deployed>(['fn', 'deploy', file, '--asset', model(1)])
  const traffic = await Traffic.start(t, platform, {
    ...{ name, producers: 2, records: Number.POSITIVE_INFINITY, rate: 10_000 },
  })
  const processed = (more: number) => async (d: FunctionDetail) =>
    await platform.until(
      name,
      ({ recordsIn, state }) => state === 'running' && recordsIn > d.recordsIn + more,
    )
  const before = await platform.until(name, ({ recordsIn }) => recordsIn > 5_000)
  const second = await platform.json<Deployed>(['asset', 'push', name, model(2), '-m', 'retrained'])
  assert.deepEqual([second.version, second.bundleSha256], [2, first.bundleSha256])
  const pushed = await processed(5_000)(before)
  assert.equal(pushed.instances[0]!.taskId, before.instances[0]!.taskId, 'in place')
  await platform.json(['fn', 'rollback', name])
  const back = await processed(5_000)(pushed)
  assert.deepEqual([back.version, back.instances[0]!.version], [1, 1])
  traffic.stop()
  const { sent, unaccounted, sunk, verdict, text } = await traffic.judged()
  t.diagnostic(`${sent} records, the last change took ${back.instances[0]!.swapPauseMs?.toFixed(1)} ms`)
  assert.ok(verdict.sound, text)
  assert.deepEqual([unaccounted, sunk.outputs, sunk.timersFired], [0, sent, sunk.timersSet])
  const changes = sunk.gaps.length
  assert.ok(
    changes >= 2 && changes <= 2 * partitions,
    `a partition changed its model ${changes} times in all`,
  )
  const versions = await platform.client.versions(name)
  assert.deepEqual(
    versions.map(({ version, state, message }) => [version, state, message ?? '']),
    [
      [2, 'rolledBack', 'retrained'],
      [1, 'live', ''],
    ],
  )
})

const bytes = 200_000_000

function reader(name: string): string {
  return `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': groupBy }, ostreams: ['${name}-out'] },
  processRecord(ctx, record) {
    const model = ctx.asset('model.bin')
    if (model[0] !== 1) throw new Error('no model of mine')
    ctx.produceRecord('${name}-out', record.key, String(model.length))
  },
})`
}

test('an asset of 200 MB is in memory once for four instances; a project brings its own; what is wrong is told', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const project = join(platform.home, 'big')
  mkdirSync(join(project, 'assets'), { recursive: true })
  const modelFile = join(project, 'assets', 'model.bin')
  writeFileSync(join(project, 'index.ts'), reader('big'))
  writeFileSync(
    join(project, 'concord.jsonc'),
    JSON.stringify({
      ...{ instances: 4, instancesPerRunner: 4, assets: ['model.bin'] },
      resources: { memMib: 160, cpus: 0.05 },
    }),
  )
  const lacking = await platform.cli(['fn', 'deploy', project])
  assert.equal(lacking.code, 5, lacking.stderr)
  assert.match(lacking.stderr, /be without asset 'model\.bin'.*folder assets\//)

  writeFileSync(modelFile, Buffer.of(1))
  await platform.json(['fn', 'deploy', project])
  const running = (version: number) => (d: FunctionDetail) =>
    d.state === 'running' && d.instances.length === 4 && d.instances.every((one) => one.version === version)
  const small = await platform.until('big', running(1))
  writeFileSync(modelFile, Buffer.alloc(bytes, 1))
  const sent = await platform.cli(['fn', 'deploy', project])
  assert.equal(sent.code, 0, sent.stderr)
  assert.match(sent.stderr, /assets {2}1, .* sent/)
  assert.match(sent.stderr, /asset model\.bin gets other bytes: those it has came with v1/)
  const large = await platform.until('big', running(2))
  assert.deepEqual(
    [...new Set(large.instances.map(({ pid }) => pid))],
    [small.instances[0]!.pid],
    'one runner, in place',
  )
  const lines = Array.from({ length: 100 }, (_, i) => JSON.stringify({ key: `k${i}`, value: '' })).join('\n')
  await platform.json(['produce', 'big-in', '--ndjson'], lines)
  const worked = await platform.until('big', (d) => d.recordsOut >= 100)
  assert.ok(worked.instances.every(({ recordsOut }) => recordsOut > 0))
  const [before, after] = [small, worked].map((d) => d.instances[0]!.rssBytes!)
  t.diagnostic(`the runner had ${before! >> 20} MiB, with the asset ${after! >> 20} MiB`)
  assert.ok(after! - before! < 1.5 * bytes, `${before} bytes became ${after}`)
  const { boundBytes, accounts } = worked.instances[0]!.memory!
  assert.deepEqual([accounts.assets, boundBytes], [bytes, (4 * 160 + 96) * 2 ** 20])
  t.diagnostic(accountsText({ accounts }))
  assert.ok(accounts.isolates > 0 && accounts.process > 0)
  assert.match(
    (await platform.cli(['fn', 'inspect', 'big'])).stdout,
    /MEMORY, MIB +IN USE +BOUND.*\n\S+ +\d+ +736 /,
  )

  const unchanged = await platform.cli(['fn', 'deploy', project])
  assert.match(unchanged.stderr, /assets {2}1, all there/)
  const bad = join(platform.home, 'bad.bin')
  writeFileSync(bad, Buffer.of(2))
  const throws = platform.cli(['asset', 'push', 'big', bad, '--as', 'model.bin'])
  const feeding = setInterval(() => void platform.client.produce('big-in', [{ key: 'k', value: '' }]), 50)
  const putBack = await throws
  clearInterval(feeding)
  assert.equal(putBack.code, 6, putBack.stderr)
  assert.match(putBack.stderr, /v3 has failed, v2 runs as before: .*no model of mine/)
  const { version, assets } = await platform.json<AssetList>(['asset', 'ls', 'big'])
  assert.deepEqual([version, assets['model.bin']?.bytes], [2, bytes])
  assert.match((await platform.cli(['fn', 'inspect', 'big'])).stdout, /assets {4}model\.bin \(/)

  const needed = await platform.cli(['asset', 'rm', 'big', 'model.bin'])
  assert.deepEqual([needed.code, /be without asset/.test(needed.stderr)], [5, true], needed.stderr)
  const nobody = await platform.cli(['asset', 'push', 'nobody', modelFile])
  assert.deepEqual([nobody.code, /no function 'nobody'/.test(nobody.stderr)], [4, true], nobody.stderr)
  const noFile = await platform.cli(['asset', 'push', 'big', join(project, 'none')])
  assert.deepEqual([noFile.code, /there is no such file/.test(noFile.stderr)], [4, true], noFile.stderr)
  const wrong = createHash('sha256').update('something else').digest('hex')
  await assert.rejects(platform.client.uploadAsset(wrong, new Blob(['these bytes'])), {
    code: 'ERR_ASSET_HASH',
    message: /11 bytes that came have the hash/,
  })

  const asks = reader('asks').replace('processRecord', "init(ctx) { ctx.asset('list') },\n  processRecord")
  writeFileSync(join(platform.home, 'asks.ts'), asks)
  const missing = await platform.cli(['fn', 'deploy', join(platform.home, 'asks.ts')])
  assert.equal(missing.code, 6, missing.stderr)
  assert.match(missing.stderr, /lacks asset 'list' \(it has none.*concord asset push asks list/)
})
