import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Counter, Gauge, makeRegistry, startMetricsServer } from './metrics.ts'

test('startMetricsServer serves the counters and the metrics of the process, labelled with its kind and its namespace (MT1)', async (t) => {
  const registry = makeRegistry({ process: 'gateway', namespace: 'one' })
  const records = new Counter({ name: 'concord_records_total', help: 'records', registers: [registry] })
  const server = await startMetricsServer({ port: 0, registry })
  t.after(() => server.close())
  records.inc(3)
  const text = await (await fetch(server.url)).text()
  assert.match(text, /^concord_records_total\{process="gateway",namespace="one"\} 3$/m)
  assert.match(text, /^concord_process_cpu_seconds_total\{process="gateway",namespace="one"\} /m)
  assert.equal((await fetch(new URL('/', server.url))).status, 404)
})

test('startMetricsServer answers 500 and keeps running when a collector throws', async (t) => {
  const registry = makeRegistry({ process: 'gateway', namespace: 'x' })
  let broken = true
  const collect = () => {
    if (broken) throw new Error('no figure')
  }
  new Gauge({ name: 'concord_figure', help: 'figure', registers: [registry], collect })
  const server = await startMetricsServer({ port: 0, registry })
  t.after(() => server.close())
  assert.equal((await fetch(server.url)).status, 500)
  broken = false
  assert.equal((await fetch(server.url)).status, 200)
})

test('startMetricsServer reports a taken port', async (t) => {
  const registry = makeRegistry({ process: 'gateway', namespace: 'x' })
  const first = await startMetricsServer({ port: 0, registry })
  t.after(() => first.close())
  const port = Number(new URL(first.url).port)
  await assert.rejects(startMetricsServer({ port, registry }), { code: 'ERR_PORT_TAKEN' })
})
