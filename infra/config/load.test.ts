import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { describeOrigin, loadConfig } from './load.ts'
import { settings } from './schema.ts'

function makeHome(t: TestContext, file?: string): string {
  const home = mkdtempSync(join(tmpdir(), 'config-'))
  t.after(() => rmSync(home, { recursive: true }))
  if (file !== undefined) writeFileSync(join(home, 'config.jsonc'), file)
  return home
}

test('loadConfig without any source gives the defaults, also those derived from other settings', () => {
  const { values, origins } = loadConfig({ env: {} })
  assert.equal(values.home, join(homedir(), '.concord'))
  assert.equal(values.store.url, `sqlite:${values.home}/store.sqlite`)
  assert.equal(values.nats.url, 'nats://127.0.0.1:8643')
  assert.equal(values.mesos.failoverTimeoutSeconds, 604_800)
  assert.deepEqual(values.agent, {})
  assert.ok(Object.values(origins).every(({ kind }) => kind === 'default'))
})

test('loadConfig prefers flag to environment to file to default, and says which (C3)', (t) => {
  const home = makeHome(
    t,
    '{ // ours\n  "nats": { "port": 1, "user": "u" },\n  "gateway": { "port": 1, "host": "h" },\n}',
  )
  const { values, origins } = loadConfig({
    env: { CONCORD_HOME: home, CONCORD_GATEWAY_PORT: '2', CONCORD_NATS_PORT: '2' },
    flags: { 'nats.port': '3', 'mesos.port': undefined },
  })
  assert.deepEqual([values.nats.port, values.gateway.port, values.gateway.host], [3, 2, 'h'])
  assert.equal(values.nats.url, 'nats://127.0.0.1:3')
  assert.equal(describeOrigin(origins['nats.port']!), 'flag nats.port')
  assert.equal(describeOrigin(origins['gateway.port']!), 'environment CONCORD_GATEWAY_PORT')
  assert.equal(describeOrigin(origins['gateway.host']!), `file ${home}/config.jsonc:3:27`)
  assert.equal(describeOrigin(origins['mesos.port']!), 'default')
})

test('loadConfig treats an empty variable as unset', () => {
  assert.equal(loadConfig({ env: { CONCORD_LOG_LEVEL: '' } }).values.log.level, 'info')
})

test('loadConfig refuses an unknown key and names the nearest known one (C1, C2 of file.ts)', (t) => {
  const home = makeHome(t, '{\n  "gateway": { "prot": 1 }\n}')
  assert.throws(() => loadConfig({ env: { CONCORD_HOME: home } }), {
    code: 'ERR_CONFIG_KEY',
    message: `${home}/config.jsonc:2:16: there is no setting 'gateway.prot': did you mean 'gateway.port'?`,
  })
  assert.throws(() => loadConfig({ env: {}, flags: { 'gatway.port': 1 } }), {
    code: 'ERR_CONFIG_KEY',
    message: /'gateway.port'/,
  })
})

test('loadConfig refuses a value out of bounds, and says what the setting is for and where the value comes from (C4)', (t) => {
  const home = makeHome(t, '{ "gateway": { "port": "8642" } }')
  assert.throws(() => loadConfig({ env: { CONCORD_HOME: home } }), {
    code: 'ERR_CONFIG_VALUE',
    message:
      /"8642" as gateway\.port \(port of the HTTP API.*\), from file .*config\.jsonc:1:16: .*expected number/,
  })
  assert.throws(() => loadConfig({ env: { CONCORD_NATS_PORT: '70000' } }), {
    code: 'ERR_CONFIG_VALUE',
    message: /"70000".*environment CONCORD_NATS_PORT/,
  })
  assert.throws(() => loadConfig({ env: {}, flags: { 'log.level': 'loud' } }), {
    code: 'ERR_CONFIG_VALUE',
    message: /"debug"/,
  })
})

test('loadConfig never shows the value of a secret (C4)', (t) => {
  const home = makeHome(t, '{ "nats": { "password": ["hunter2"] } }')
  assert.throws(
    () => loadConfig({ env: { CONCORD_HOME: home } }),
    ({ code, message }) => code === 'ERR_CONFIG_VALUE' && !message.includes('hunter2'),
  )
})

test('loadConfig refuses a file that is not JSON with comments, and a named file that does not exist', (t) => {
  const home = makeHome(t, '{\n  "home": \n}')
  assert.throws(() => loadConfig({ env: { CONCORD_HOME: home } }), {
    code: 'ERR_CONFIG_FILE',
    message: /config\.jsonc:3:1: .*ValueExpected/,
  })
  const absent = join(home, 'absent.jsonc')
  assert.throws(() => loadConfig({ env: { CONCORD_CONFIG: absent } }), {
    code: 'ERR_CONFIG_FILE',
    message: /absent\.jsonc/,
  })
  assert.throws(() => loadConfig({ env: {}, file: home }), { code: 'ERR_CONFIG_FILE', message: /EISDIR/ })
})

test('every setting has a meaning and its own environment variable', () => {
  assert.ok(settings.every(({ description }) => description.length > 10))
  assert.equal(new Set(settings.map(({ env }) => env)).size, settings.length)
  const names = Object.fromEntries(settings.map(({ key, env }) => [key, env]))
  assert.equal(names['mesos.failoverTimeoutSeconds'], 'CONCORD_MESOS_FAILOVER_TIMEOUT_SECONDS')
  assert.equal(names['nats.serverCommand'], 'CONCORD_NATS_SERVER')
  assert.deepEqual(
    settings.filter(({ secret }) => secret).map(({ key }) => key),
    ['nats.password', 'nats.runnerPassword', 'mesos.secret', 'store.password', 'runnerArchive.key'],
  )
})
