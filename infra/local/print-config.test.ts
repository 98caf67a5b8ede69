import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '../config/index.ts'
import { type ProcessId, processId } from '../process.ts'
import { bundleFile } from '../programs.mjs'
import { homeOf } from './home.ts'
import { reportSettings, type SettingReport } from './print-config.ts'

const env = { CONCORD_HOME: '/nowhere', CONCORD_NATS_PASSWORD: 'hunter2', CONCORD_GATEWAY_PORT: '9000' }
const script = bundleFile('infra/local/print-config.ts')

test('reportSettings shows value, origin and meaning, and masks a secret that is set', () => {
  const reports = reportSettings(loadConfig({ env }))
  const find = (key: string) => reports.find((report) => report.key === key)
  assert.deepEqual(find('gateway.port'), {
    key: 'gateway.port',
    value: 9000,
    origin: 'environment CONCORD_GATEWAY_PORT',
    environment: 'CONCORD_GATEWAY_PORT',
    description: 'port of the HTTP API; 0: any free one',
  })
  assert.equal(find('nats.password')?.value, '***')
  const masters = reportSettings(
    loadConfig({ env: { ...env, CONCORD_MESOS_URL: 'zk://me:hunter2@zk1/mesos' } }),
  )
  assert.equal(masters.find(({ key }) => key === 'mesos.url')?.value, 'zk://***@zk1/mesos')
  assert.equal(find('mesos.secret')?.value, undefined)
  assert.ok(!JSON.stringify(reports).includes('hunter2'))
})

test('print-config.ts shows the settings that `up` passes to its processes, or, after it has ended, those that the next one will use', (t) => {
  const home = mkdtempSync(join(tmpdir(), 'concord-config-'))
  t.after(() => rmSync(home, { recursive: true }))
  const stores = { 'store.url': 'zk://127.0.0.1:2181/concord', 'gateway.port': 40_000 }
  const shown = (up: ProcessId) => {
    const file = {
      schema: 1,
      up,
      processes: {},
      freePorts: { nats: 40_001, gateway: 40_000 },
      settings: stores,
    }
    writeFileSync(homeOf(home).up, JSON.stringify(file))
    const printed = spawnSync(process.execPath, [script], {
      env: { CONCORD_HOME: home, CONCORD_GATEWAY_PORT: '9000' },
      encoding: 'utf8',
    })
    const reports = JSON.parse(printed.stdout) as SettingReport[]
    return ['store.url', 'gateway.port', 'nats.port'].map((key) => {
      const { value, origin } = reports.find((one) => one.key === key)!
      return [value, origin]
    })
  }
  const by = `concord up (pid ${process.pid})`
  assert.deepEqual(shown(processId(process.pid)!), [
    [stores['store.url'], by],
    [40_000, by],
    [8643, 'default'],
  ])
  assert.deepEqual(shown({ pid: process.pid, started: 'long ago' }), [
    [stores['store.url'], 'concord up, when it ran last'],
    [9000, 'environment CONCORD_GATEWAY_PORT'],
    [40_001, 'concord up, when it ran last'],
  ])
})

test('print-config.ts takes a home, and says in one line why a configuration is rejected', () => {
  const named = spawnSync(process.execPath, [script, '--home', '/elsewhere'], { env, encoding: 'utf8' })
  assert.match(named.stdout, /\{"key":"home","value":"\/elsewhere","origin":"flag home",/)
  const rejected = spawnSync(process.execPath, [script], {
    env: { CONCORD_LOG_LEVEL: 'loud' },
    encoding: 'utf8',
  })
  assert.equal(rejected.status, 6)
  assert.match(rejected.stderr, /^Cannot use "loud" as log\.level .*\n$/)
})
