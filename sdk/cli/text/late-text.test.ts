import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { concord, gatewayOf, temporaryFolder } from '../test-cli.ts'

const source =
  "import { defineFunction } from 'concord'\nexport default defineFunction({ metadata: { name: 'shout' } })"
const atOnce = ['--timeout', '0.1']

/** A gateway whose one function has an instance that waits. @param remark What it says besides. */
async function startWaiting(t: TestContext, remark: object) {
  const folder = temporaryFolder(t)
  const path = join(folder, 'shout.ts')
  writeFileSync(path, source)
  const shout = { name: 'shout', version: 2, state: 'waiting', instancesWanted: 1, instancesRunning: 0 }
  const instances = [{ id: 'shout-0', version: 2, state: 'waiting', why: 'the quota is short of 1 cpus' }]
  const answers: Record<string, object> = {
    POST: { name: 'shout', version: 2, bundleSha256: 'ab', changed: true },
    PUT: { instances: 2, pinned: false },
    GET: { ...shout, manifest: { instances: 1 }, istreams: ['in'], ostreams: [], instances, ...remark },
  }
  const { env } = await gatewayOf(t, ({ method }) => ({ status: 200, json: answers[method]! }))
  return {
    deploy: (...options: string[]) => concord(['fn', 'deploy', path, ...options], { env }),
    scale: (...options: string[]) => concord(['fn', 'scale', 'shout', '2', ...options], { env }),
  }
}

test('fn deploy says that no scheduler leads, instead of what it waits for', async (t) => {
  const { deploy } = await startWaiting(t, { noScheduler: 'no scheduler has led for 9 s' })
  const { stderr } = await deploy(...atOnce)
  assert.match(stderr, /0 of 1 instances run it after 0.1 s: no scheduler has led for 9 s/)
})

test('fn deploy and fn scale say first what is known, and then that the gateway is cut off from the store', async (t) => {
  const noStore = 'the store has not answered this gateway for 9 s'
  const { deploy, scale } = await startWaiting(t, { noStore })
  const both = new RegExp(`: the quota is short of 1 cpus; but ${noStore}`)
  assert.match((await deploy(...atOnce)).stderr, both)
  assert.match((await scale(...atOnce)).stderr, both)
  assert.match((await deploy('--no-wait')).stdout, both)
})

test('fn deploy, fn why, fn inspect and stream inspect say that JetStream does not answer the gateway', async (t) => {
  const noJetStream = 'JetStream has not answered this gateway for 9 s'
  const { deploy } = await startWaiting(t, { noJetStream })
  assert.match((await deploy(...atOnce)).stderr, new RegExp(`short of 1 cpus; but ${noJetStream}`))
  const fn = { name: 'shout', version: 1, instancesWanted: 1, instancesRunning: 0, noJetStream }
  const why = { ...fn, placement: { constraints: [], priority: 0 } }
  const manifest = {
    resources: { cpus: 1, memMib: 64, diskMib: 0 },
    istreams: {},
    ostreams: [],
    onError: 'fail',
  }
  const detail = {
    ...why,
    manifest,
    bundleSha256: 'ab',
    deployedAtMs: 0,
    ledger: [],
    producers: [],
    readers: [],
  }
  const json = { ...detail, state: 'running', instances: [], partitions: 1, consumers: [] }
  const { env } = await gatewayOf(t, () => ({ status: 200, json }))
  for (const command of ['fn why', 'fn inspect', 'stream inspect']) {
    const { stdout } = await concord([...command.split(' '), 'shout'], { env })
    assert.match(stdout, new RegExp(`^${noJetStream}\n`), command)
  }
})

test('fn why begins with it that the gateway is cut off from the store', async (t) => {
  const noStore = 'the store has not answered this gateway for 9 s'
  const why = { name: 'shout', version: 1, instancesWanted: 1, instancesRunning: 0, noStore }
  const json = { ...why, placement: { constraints: [], priority: 0 }, instances: [] }
  const { env } = await gatewayOf(t, () => ({ status: 200, json }))
  assert.match((await concord(['fn', 'why', 'shout'], { env })).stdout, new RegExp(`^${noStore}\n`))
})
