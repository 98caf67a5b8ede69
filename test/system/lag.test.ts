import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FunctionDetail, FunctionSummary } from '../../sdk/api/index.ts'
import type { StreamDetail } from '../../sdk/api/readers.ts'
import { Platform } from './platform.ts'

/** Of the slow function: for 40 s, or until it is replaced by a quick one. */
const records = 400

/** Takes its time with each record. */
function taking(ms: number, name: string, backPressure: string): string {
  return `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': { grouping: groupBy, backPressure: '${backPressure}' } }, ostreams: [] },
  async processRecord(ctx, record) { await new Promise((resolve) => setTimeout(resolve, ${ms})) },
})
`
}

test('the lag of a slow function grows while records wait, over a handover, a swap and on disk too, and is 0 when none does', {
  timeout: 400_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const token = readFileSync(join(platform.home, 'token'), 'utf8').trim()
  const headers = { authorization: `Bearer ${token}` }
  const readerOf = async (name: string) =>
    (await platform.json<StreamDetail>(['stream', 'inspect', `${name}-in`])).readers[0]!
  const gaugeOf = async (name: string) => {
    const text = await (await fetch(`${platform.url}/metrics`, { headers })).text()
    return Number(
      new RegExp(`^concord_input_lag_seconds\\{.*function="${name}".*\\} (\\S+)$`, 'm').exec(text)?.[1],
    )
  }
  const lags = ({ ledger: [row] }: FunctionDetail, ms: number) => row!.inFlight > 0 && row!.lagMs! >= ms
  const isDone = ({ ledger: [row] }: FunctionDetail) => row!.processed === records
  const lines = Array.from({ length: records }, (_, i) => `{"key":"${i}","value":"x"}\n`).join('')

  await platform.deploy('slow', taking(100, 'slow', 'block'))
  assert.equal((await readerOf('slow')).lagMs, 0, 'nothing was sent')
  await platform.json(['produce', 'slow-in', '--ndjson'], lines)
  await platform.until('slow', (detail) => lags(detail, 1500))
  await platform.json(['fn', 'scale', 'slow', '2'])
  const { ledger } = await platform.until('slow', (detail) => lags(detail, 2500))
  const later = await readerOf('slow')
  assert.ok(later.inFlight === 0 || later.lagMs! > 2000, `${ledger[0]!.lagMs} ms, then ${later.lagMs} ms`)
  assert.match((await platform.cli(['stream', 'inspect', 'slow-in'])).stdout, / IN FLIGHT +LAG /)
  await platform.deploy('slow', taking(1, 'slow', 'block'))
  const drained = await platform.until('slow', isDone)
  assert.equal(drained.ledger[0]!.lagMs, 0)

  await platform.deploy('queued', taking(1, 'queued', 'enqueue'))
  await platform.json(['fn', 'scale', 'queued', '0'])
  await platform.json(['produce', 'queued-in', '--ndjson'], lines)
  const spilled = (detail: FunctionDetail) => detail.ledger[0]!.spilled === records
  await platform.until('queued', (detail) => spilled(detail) && lags(detail, 1500))
  const functions = await platform.json<FunctionSummary[]>(['fn', 'ls'])
  const listed = Object.fromEntries(functions.map(({ name, lagMs }) => [name, lagMs]))
  assert.equal(listed['slow'], 0)
  assert.ok(listed['queued']! >= 1500)
  assert.match((await platform.cli(['fn', 'inspect', 'queued'])).stdout, /^queued-in .* \d+\.\d s /m)
  assert.ok((await gaugeOf('queued')) >= 1.5)
  await platform.json(['fn', 'scale', 'queued', '2'])
  await platform.until('queued', isDone)
  await platform.untilSaid(['fn', 'ls'], /^queued .* 0$/m)
})
