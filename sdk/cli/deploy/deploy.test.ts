import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { assertFails, bin, concord, gatewayOf, plainNode, root, temporaryFolder } from '../test-cli.ts'

const source =
  "import { defineFunction } from 'concord'\nexport default defineFunction({ metadata: { name: 'shout', ostreams: ['loud'] } })"
const deployed = { status: 200, json: { name: 'shout', version: 2, bundleSha256: 'ab', changed: true } }
const running = {
  ...{ name: 'shout', version: 2, state: 'running', instancesWanted: 1, instancesRunning: 1 },
  manifest: { instances: 1 },
  istreams: ['words'],
  ostreams: ['loud'],
  instances: [{ id: 'shout-0', version: 2, state: 'running' }],
}

function sourceFile(t: TestContext): string {
  const file = join(temporaryFolder(t), 'shout.ts')
  writeFileSync(file, source)
  return file
}

test('fn deploy --until-output says that it waits, and gives up after --timeout', async (t) => {
  const { env } = await gatewayOf(t, ({ method, path }, response) => {
    if (method === 'POST') return deployed
    if (path.startsWith('/v1/functions/')) return { status: 200, json: running }
    return void response.write('{"event":"ready","hold":false}\n')
  })
  const ran = await concord(['fn', 'deploy', sourceFile(t), '--until-output', '--timeout', '0.3'], { env })
  assert.equal(ran.code, 7, ran.stderr)
  assert.match(ran.stderr, /^waiting for the first record on loud, at most 0\.3 s$/m)
  assert.match(
    ran.stderr,
    /shout v2 runs, but nothing came out of it on loud in 0\.3 s: send it a record; 'concord fn logs shout' shows/,
  )
})

test('fn deploy says that nothing calls a function without inputs', async (t) => {
  let istreams: string[] = []
  const { env } = await gatewayOf(t, ({ method }) =>
    method === 'POST' ? deployed : { status: 200, json: { ...running, istreams } },
  )
  const deploy = async () => (await concord(['fn', 'deploy', sourceFile(t)], { env })).stderr
  assert.match(await deploy(), /^ +v2 reads no stream, so no record and no timer ever comes to it: /m)
  istreams = ['words']
  assert.doesNotMatch(await deploy(), /reads no stream/)
})

test('fn deploy that is interrupted while it waits says that the version is deployed', async (t) => {
  const { env } = await gatewayOf(t, ({ method }) => {
    if (method === 'POST') return deployed
    child.kill('SIGINT') // it waits
    return { status: 200, json: { ...running, state: 'starting', instancesRunning: 0, instances: [] } }
  })
  const words = [bin, 'fn', 'deploy', sourceFile(t)]
  const child = spawn(plainNode, words, { cwd: root, env: { ...process.env, ...env } })
  t.after(() => child.kill('SIGKILL'))
  let said = ''
  child.stderr.on('data', (text) => {
    said += text
  })
  assert.deepEqual(await once(child, 'close'), [130, null])
  assert.match(said, /^interrupted: shout v2 is deployed all the same; 'concord fn inspect shout' shows/m)
})

test('fn deploy that fails says who waits for the function in the end', async (t) => {
  const lastExit = { code: 11, reason: 'initFailed', message: 'boom', atMs: 0 }
  const failed = {
    ...{ ...running, state: 'degraded', instancesRunning: 0 },
    manifest: { instances: 1, istreams: { s1: { grouping: 'groupBy', backPressure: 'block' } } },
    instances: [{ id: 'shout-0', version: 2, state: 'backingOff', lastExit }],
  }
  const functions = [
    { name: 'shout', istreams: ['s1'] },
    { name: 'good', istreams: ['s1'] },
  ]
  const { env } = await gatewayOf(t, ({ method, path }) => {
    if (path === '/v1/topology') return { status: 200, json: { functions, streams: [] } }
    return { status: 200, json: method === 'POST' ? deployed.json : failed }
  })
  const ran = await concord(['fn', 'deploy', sourceFile(t)], { env })
  assert.equal(ran.code, 6, ran.stderr)
  assert.match(
    ran.stderr,
    /records of s1 wait for shout from now on, and once 8 MiB do, good gets none either: deploy a version that runs, or 'concord fn rm shout'/,
  )
})

test('fn deploy asks nothing more of a gateway that goes away while it waits', async (t) => {
  const { env, received } = await gatewayOf(t, ({ method }, response) => {
    if (method === 'POST') return deployed
    return void response.destroy()
  })
  const ran = await concord(['fn', 'deploy', sourceFile(t)], { env })
  assert.notEqual(ran.code, 0)
  assert.match(ran.stderr, /^concord: /m)
  const asked = new Set(received.map(({ method, path }) => `${method} ${path.split('?')[0]}`))
  assert.deepEqual(asked, new Set(['POST /v1/functions', 'GET /v1/functions/shout']))
})

test('fn deploy shows the progress of a trial, and says that a version without records is untried', async (t) => {
  const trial = { records: 1000, errors: 0, ms: 600_000 }
  const detail = (state: string, more: object) => ({
    ...{ ...running, manifest: { instances: 1, trial }, instancesRunning: 0 },
    instances: [{ id: 'shout-0', version: 2, state, why: 'version 2 takes over from 1', ...more }],
  })
  let answer: object = deployed.json
  let shown = detail('swapping', { swap: { version: 2, state: 'onTrial', records: 12 } })
  const { env } = await gatewayOf(t, ({ method }) => ({
    status: 200,
    json: method === 'POST' ? answer : shown,
  }))
  const waits = await concord(['fn', 'deploy', sourceFile(t), '--timeout', '0.3'], { env })
  assert.equal(waits.code, 7, waits.stderr)
  assert.match(
    waits.stderr,
    /after 0\.3 s: it is on trial: 12 of 1000 records so far, for 600 s at most \(trial\)/,
  )
  shown = detail('running', { tried: { version: 2, records: 0 } })
  const untried = await concord(['fn', 'deploy', sourceFile(t)], { env })
  assert.equal(untried.code, 0, untried.stderr)
  assert.match(
    untried.stderr,
    /^ +v2 is untried: no record came while it was on trial \(600 s\); 'concord fn rollback shout' goes back$/m,
  )
  answer = { ...answer, changed: false } // it has been at work since
  const unchanged = await concord(['fn', 'deploy', sourceFile(t)], { env })
  assert.doesNotMatch(unchanged.stderr, /untried/)
  answer = deployed.json
  shown = detail('running', { tried: { version: 2, records: 3 } })
  const tried = await concord(['fn', 'deploy', sourceFile(t)], { env })
  assert.doesNotMatch(tried.stderr, /untried/)
})

test('fn deploy --bake is refused without a canary or a shadow', async (t) => {
  const { env, received } = await gatewayOf(t, () => deployed)
  const deploy = (...more: string[]) =>
    concord(['fn', 'deploy', sourceFile(t), '--no-wait', '--bake', '7', ...more], { env })
  assertFails(await deploy(), 2, /--bake 7 says how long .* add --canary or --shadow/)
  assert.equal(received.length, 0)
  for (const flag of ['--canary', '--shadow']) {
    assert.equal((await deploy(flag)).code, 0)
    const uploads = received.filter(({ method }) => method === 'POST')
    assert.match(uploads.at(-1)!.body.toString(), /"bakeMs":7000/)
  }
})

test('fn deploy refuses --drain with --canary, and says why a version that asks for a canary is none', async (t) => {
  const noCanary = 'it asks for more resources'
  const { env, received } = await gatewayOf(t, () => ({ status: 200, json: { ...deployed.json, noCanary } }))
  const deploy = (...more: string[]) =>
    concord(['fn', 'deploy', sourceFile(t), '--no-wait', '--canary', '10%', ...more], { env })
  assertFails(await deploy('--drain'), 2, /--drain ends .*: leave out --drain or --canary/)
  assert.equal(received.length, 0)
  const { code, stderr } = await deploy('--mem', '300')
  assert.equal(code, 0, stderr)
  assert.match(stderr, /^ +no canary, the version gets all keys at once: it asks for more resources$/m)
  for (const words of [
    ['fn', 'promote', 'shout'],
    ['asset', 'rm', 'shout', 'model'],
  ])
    assert.match((await concord([...words, '--no-wait'], { env })).stderr, /no canary, .* more resources$/m)
})

test('fn deploy says why a version that asks for a shadow is none', async (t) => {
  const { env } = await gatewayOf(t, () => ({
    status: 200,
    json: { ...deployed.json, noShadow: 'it is the first' },
  }))
  const { stderr } = await concord(['fn', 'deploy', sourceFile(t), '--no-wait', '--shadow'], { env })
  assert.match(stderr, /^ +no shadow, the version gets all keys at once: it is the first$/m)
})

test('fn deploy --env accepts a pair or the name of a set variable, and refuses anything else', async (t) => {
  const { env, received } = await gatewayOf(t, () => deployed)
  const deploy = (entry: string) =>
    concord(['fn', 'deploy', sourceFile(t), '--no-wait', '--env', entry], { env: { ...env, SET: 'here' } })
  for (const entry of ['UNSET', '=x'])
    assertFails(await deploy(entry), 2, new RegExp(`Cannot take --env ${entry}: expected NAME=value`))
  assert.equal(received.length, 0)
  for (const entry of ['SET', 'EMPTY=']) assert.equal((await deploy(entry)).code, 0)
  assert.deepEqual(
    received.flatMap(({ body }) => /"env":(\{[^}]*\})/.exec(body.toString())?.[1] ?? []),
    ['{"SET":"here"}', '{"EMPTY":""}'],
  )
})

const versions = [
  { version: 5, state: 'live', failed: { atMs: 0, reason: 'it threw' } },
  { version: 4, state: 'failed', reason: 'it threw at 3' },
  { version: 3, state: 'withdrawn', reason: 'v4 was wanted while it ran in 1 of 2 instances' },
  { version: 2, state: 'rolledBack', reason: 'v1 was wanted again: alarms', by: 'ada', outcomeAtMs: 60_000 },
  { version: 1, state: 'replaced', reason: 'as a canary, well', quietAt: [50] },
  { version: 0, state: 'replaced', reason: 'no record came', untried: true },
].map((one) => ({ ...one, deployedAtMs: 0, bundleSha256: 'ab' }))

test('fn deploy and fn rollback say which unfinished version they replace, and how far it was', async (t) => {
  const left = { version: 1, how: 'was a canary, at step 2' }
  const { env } = await gatewayOf(t, ({ method, path }) => {
    if (method === 'POST') return { status: 200, json: { ...deployed.json, left } }
    return { status: 200, json: path.endsWith('/versions') ? { versions: [] } : running }
  })
  for (const command of [
    ['deploy', sourceFile(t)],
    ['rollback', 'shout'],
  ]) {
    const { code, stderr } = await concord(['fn', ...command, '--no-wait'], { env })
    assert.equal(code, 0, stderr)
    assert.match(stderr, /^ +v1 was a canary, at step 2: v2 replaces it$/m)
  }
})

test('fn deploy says which sizes set by hand stay, and what changes them', async (t) => {
  const byHand = [
    { what: 'memMib', is: 512, manifest: 256 },
    { what: 'diskMib', is: 64, manifest: 32 },
  ]
  const { env, received } = await gatewayOf(t, () => ({ status: 200, json: { ...deployed.json, byHand } }))
  const { stderr } = await concord(['fn', 'deploy', sourceFile(t), '--no-wait'], { env })
  assert.match(
    stderr,
    /512 MiB of memory stay, set by hand, instead of 256 in the manifest: 'concord fn scale shout --mem 256' changes that\n/,
  )
  assert.match(stderr, /64 MiB of disk stay, set by hand, instead of 32 in the manifest\n/)
  assert.doesNotMatch(received[0]!.path, /ownSizes/)
})

test('fn deploy and its dry run name the assets that get other bytes, and the sizes that stay', async (t) => {
  const replaced = [{ asset: 'model.json', had: { version: 9, author: 'ada' }, again: 1 }]
  const byHand = [{ what: 'memMib', is: 512, manifest: 256 }]
  const json = { ...deployed.json, replaced, byHand }
  const { env } = await gatewayOf(t, () => ({ status: 200, json }))
  for (const how of ['--no-wait', '--dry-run']) {
    const { stderr } = await concord(['fn', 'deploy', sourceFile(t), how], { env })
    assert.match(stderr, /^ +asset model\.json goes back to the bytes of v1: .* came with v9 \(by ada\); /m)
    assert.match(stderr, /^ +512 MiB of memory stay, set by hand/m)
  }
})

test('fn rollback names the versions that it skipped because they were not kept, and who rolled back and why', async (t) => {
  const { env, received } = await gatewayOf(t, ({ method, path }) => {
    if (method === 'POST') return { status: 200, json: { name: 'shout', version: 1, changed: true } }
    return { status: 200, json: path.endsWith('/versions') ? { versions } : { ...running, version: 5 } }
  })
  const ran = await concord(['fn', 'rollback', 'shout', '--no-wait', '--author', 'bob', '-m', 'noise'], {
    env,
  })
  assert.match(ran.stderr, /^passed over v4, which failed: it threw at 3; .* --to v4' goes there$/m)
  assert.match(
    ran.stderr,
    /^passed over v3, which was withdrawn: v4 was wanted while it ran in 1 of 2 instances; /m,
  )
  assert.match(
    ran.stderr,
    /^passed over v2, which was rolled back by ada 1970-01-01T00:01:00.000Z: v1 was wanted again: alarms; /m,
  )
  assert.doesNotMatch(ran.stderr, /past v[015]/)
  assert.match(ran.stdout, /shout v1 will run/)
  const { body } = received.find(({ method }) => method === 'POST')!
  assert.deepEqual(JSON.parse(body.toString()), { drain: false, author: 'bob', message: 'noise' })
})

test('fn versions shows the outcome of each version, and an earlier failure', async (t) => {
  const { env } = await gatewayOf(t, () => ({ status: 200, json: { versions } }))
  const { stdout } = await concord(['fn', 'versions', 'shout'], { env })
  assert.match(stdout, /^v5 had failed 1970-01-01T00:00:00\.000Z: it threw$/m)
  assert.match(stdout, /^v4 failed: it threw at 3$/m)
  assert.match(stdout, /^v2 was rolled back by ada 1970-01-01T00:01:00\.000Z: v1 was wanted again: alarms$/m)
  assert.match(stdout, /^v1 passed, but no record came at 50 % of the keys: as a canary, well$/m)
  assert.match(stdout, /^v0 became live untried: no record came$/m)
})
