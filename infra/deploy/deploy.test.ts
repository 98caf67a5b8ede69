/** The deployment files: they parse, and what they name exists. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { loadConfig, settings } from '../config/index.ts'

const here = import.meta.dirname
const root = resolve(here, '../..')
const read = (name: string) => readFileSync(join(here, name), 'utf8')
const known = new Set(settings.map(({ env }) => env))

/** `KEY=VALUE` lines; comments are passed over. */
function pairsOf(text: string): (readonly [key: string, value: string])[] {
  const lines = text.split('\n').filter((line) => line !== '' && !/^[#;[]/.test(line))
  return lines.map((line) => {
    const at = line.indexOf('=')
    assert.ok(at > 0, `no assignment: ${line}`)
    return [line.slice(0, at), line.slice(at + 1)] as const
  })
}

/** What is run exists in a checkout, for a purpose that the bootstrap has. */
function checkCommand(command: string): void {
  const [, purpose, script] =
    /\/usr\/bin\/node \/opt\/concord\/infra\/bootstrap\/run\.mjs --for (\w+) \/opt\/concord\/(\S+)$/.exec(
      command,
    ) ?? assert.fail(command)
  assert.equal(purpose, 'cluster')
  assert.ok(existsSync(join(root, script!)), script)
}

/** The settings that a process gets are settings, and values that it takes. */
function checkEnvironment(given: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(given)) assert.ok(known.has(name), `${name} is no setting`)
  const { values } = loadConfig({ env: given })
  assert.equal(values.mesos.url, given['CONCORD_MESOS_URL'])
}

const shared = Object.fromEntries(pairsOf(read('concord.env')))

test('concord.env has only settings that exist, and none of a single process', () => {
  checkEnvironment(shared)
  assert.ok(!Object.keys(shared).some((name) => /_(GATEWAY|SCHEDULER)_PORT$|NATS_USER$/.test(name)))
})

for (const role of ['gateway', 'scheduler'])
  test(`systemd/concord-${role}.service runs an existing program, with existing settings and its own NATS user`, () => {
    const pairs = pairsOf(read(`systemd/concord-${role}.service`))
    const all = (key: string) => pairs.filter(([found]) => found === key).map(([, value]) => value)
    checkCommand(all('ExecStart')[0]!)
    assert.deepEqual(all('EnvironmentFile'), ['/etc/concord/concord.env', `/etc/concord/${role}.env`])
    const own = Object.fromEntries(pairsOf(read(`${role}.env`)))
    checkEnvironment({ ...shared, ...own, ...Object.fromEntries(pairsOf(all('Environment').join('\n'))) })
    assert.equal(own['CONCORD_NATS_USER'], role)
    assert.equal(own['CONCORD_NATS_RUNNER_USER'], role === 'scheduler' ? 'runner' : undefined)
    assert.deepEqual(all('RestartPreventExitStatus'), ['2'])
  })

for (const name of readdirSync(join(here, 'marathon')))
  test(`marathon/${name} runs an existing program, with existing settings and the secrets that it declares`, () => {
    const app = JSON.parse(read(`marathon/${name}`)) as {
      cmd: string
      env: Record<string, string | { secret: string }>
      secrets: Record<string, { source: string }>
      portDefinitions: { port: number }[]
    }
    checkCommand(app.cmd)
    const plain = Object.entries(app.env).map(([key, value]) => {
      if (typeof value === 'string') return [key, value] as const
      assert.ok(value.secret in app.secrets, `${key}: ${value.secret} is not among the secrets`)
      return [key, 'a secret of sixteen'] as const
    })
    const given = Object.fromEntries(plain)
    checkEnvironment(given)
    const port = given['CONCORD_GATEWAY_PORT'] ?? given['CONCORD_SCHEDULER_PORT']
    assert.equal(String(app.portDefinitions[0]!.port), port)
  })

test('zookeeper/zoo.cfg allows the session timeout of the settings, and has three servers', () => {
  const pairs = new Map(pairsOf(read('zookeeper/zoo.cfg')))
  const tickMs = Number(pairs.get('tickTime'))
  const { sessionTimeoutMs } = loadConfig({ env: {} }).values.store
  assert.ok(sessionTimeoutMs >= 2 * tickMs && sessionTimeoutMs <= 20 * tickMs)
  const servers = [...pairs].filter(([key]) => /^server\.\d$/.test(key))
  assert.deepEqual(
    servers.map(([, value]) => value),
    ['zk1:2888:3888', 'zk2:2888:3888', 'zk3:2888:3888'],
  )
})

/** By name: the labels of a metric, and what its help says (docs/reference/metrics.md, which a test keeps true). */
function knownMetrics(): Map<string, { labels: string[]; help: string }> {
  const rows = readFileSync(join(root, 'docs/reference/metrics.md'), 'utf8').matchAll(
    /^\| `(concord_\w+)` \| \w+ \| ([^|]*) \| (.*) \|$/gm,
  )
  return new Map(
    [...rows].map(([, name, labels, help]) => [name!, { labels: labels!.match(/\w+/g) ?? [], help: help! }]),
  )
}

const ofAll = ['process', 'namespace', 'instance', 'job']

test('prometheus/alerts.yml asks for metrics, labels and values that exist, and says what to do', () => {
  const metrics = knownMetrics()
  const reasons = readFileSync(join(root, 'docs/failures.md'), 'utf8')
  const alerts = read('prometheus/alerts.yml')
    .split(/^ {6}- alert: /m)
    .slice(1)
  assert.ok(alerts.length >= 10)
  for (const alert of alerts) {
    const name = /^\w+/.exec(alert)![0]
    const [, expr] = /^ {8}expr: ([\s\S]*?)\n {8}\w+:/m.exec(alert) ?? assert.fail(`${name}: no expression`)
    assert.match(alert, /^ {8}annotations:\n {10}summary: '.*'\n {10}do: (['"]).+\1$/m, name)
    const asked = [...expr!.matchAll(/\b(concord_\w+|up)\b(?:\{(.*?)\})?/g)]
    assert.ok(asked.length > 0, name)
    const labels = new Set(ofAll)
    for (const [, metric, selector = ''] of asked) {
      const known = metric === 'up' ? { labels: [], help: 'job' } : metrics.get(metric!)
      assert.ok(known !== undefined, `${name}: there is no ${metric}`)
      for (const label of known.labels) labels.add(label)
      for (const [, label, values] of selector.matchAll(/(\w+)[=!]~?"(.*?)"/g)) {
        assert.ok([...known.labels, ...ofAll].includes(label!), `${name}: ${metric} has no ${label}`)
        if (label === 'job') continue
        for (const value of values!.split('|'))
          assert.ok(
            known.help.includes(value) || reasons.includes(`\`${value}\``),
            `${name}: ${label} ${value}`,
          )
      }
    }
    const used = [...expr!.matchAll(/\b(?:by|on|without) \((.*?)\)/g)].flatMap(([, list]) =>
      list!.split(', '),
    )
    const said = [...alert.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label!)
    for (const label of [...used, ...said])
      assert.ok(labels.has(label), `${name}: no metric of it has ${label}`)
  }
})

test('prometheus/alerts.test.yml plays each alarm with metrics that exist: it rings, and is quiet before and after', () => {
  const metrics = knownMetrics()
  const names = [...read('prometheus/alerts.yml').matchAll(/- alert: (\w+)/g)].map(([, name]) => name!)
  const played = read('prometheus/alerts.test.yml')
  for (const [, metric, labels] of played.matchAll(/series: '(\w+)\{(.*?)\}'/g)) {
    if (metric === 'up') continue
    const known = metrics.get(metric!)?.labels ?? assert.fail(`there is no ${metric}`)
    for (const [, label] of labels!.matchAll(/(\w+)=/g))
      assert.ok([...known, ...ofAll].includes(label!), `${metric} has no ${label}`)
  }
  const looks = played.matchAll(
    /expr: 'count\(ALERTS\{alertname="(\w+)".*?exp_samples: \[\{ value: (\d) \}\]/g,
  )
  const seen = Map.groupBy(looks, ([, name]) => name!)
  for (const name of new Set([...names, ...seen.keys()])) {
    const rings = (seen.get(name) ?? []).map(([, , value]) => value).join('')
    assert.ok(names.includes(name) && /01+0/.test(rings), `${name}: ${rings}`)
  }
})

test('prometheus/scrape.yml has the jobs that the alerts ask for, the port of the unit, and honours what runners say', () => {
  const text = read('prometheus/scrape.yml')
  assert.deepEqual(
    [...text.matchAll(/job_name: (\S+)/g)].map(([, job]) => job),
    ['concord-gateway', 'concord-scheduler', 'concord-runners'],
  )
  const [, port] = /CONCORD_SCHEDULER_PORT=(\d+)/.exec(read('systemd/concord-scheduler.service'))!
  assert.match(text, new RegExp(`127\\.0\\.0\\.1:${port}`))
  assert.match(text, /concord-runners\n {4}honor_labels: true/)
})
