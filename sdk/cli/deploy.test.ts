import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { assertFails, concord, gatewayOf, temporaryFolder } from './test-cli.ts'

const source =
  "import { defineFunction } from 'concord'\nexport default defineFunction({ metadata: { name: 'shout', ostreams: ['loud'] } })"
const deployed = { status: 200, json: { name: 'shout', version: 2, bundleSha256: 'ab', changed: true } }
const running = {
  ...{ name: 'shout', version: 2, state: 'running', instancesWanted: 1, instancesRunning: 1 },
  manifest: { instances: 1 },
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
  assert.match(ran.stderr, /^waiting for the first record on loud, for 0\.3 s at most$/m)
  assert.match(ran.stderr, /shout v2 runs, but nothing came out of it on loud in 0\.3 s/)
})

test('fn deploy --bake is of a canary or a shadow, and refused where there is neither', async (t) => {
  const { env, received } = await gatewayOf(t, () => deployed)
  const deploy = (...more: string[]) =>
    concord(['fn', 'deploy', sourceFile(t), '--no-wait', '--bake', '7', ...more], { env })
  assertFails(await deploy(), 2, /--bake 7 says how long .* add --canary or --shadow/)
  assert.equal(received.length, 0)
  for (const flag of ['--canary', '--shadow']) {
    assert.equal((await deploy(flag)).code, 0)
    assert.match(received.at(-1)!.body.toString(), /"bakeMs":7000/)
  }
})

test('fn deploy --env takes a pair, or a name that is set here, and refuses what is neither', async (t) => {
  const { env, received } = await gatewayOf(t, () => deployed)
  const deploy = (entry: string) =>
    concord(['fn', 'deploy', sourceFile(t), '--no-wait', '--env', entry], { env: { ...env, SET: 'here' } })
  for (const entry of ['UNSET', '=x'])
    assertFails(await deploy(entry), 2, new RegExp(`Cannot take --env ${entry}: expected NAME=value`))
  assert.equal(received.length, 0)
  for (const entry of ['SET', 'EMPTY=']) assert.equal((await deploy(entry)).code, 0)
  assert.deepEqual(
    received.map(({ body }) => /"env":(\{[^}]*\})/.exec(body.toString())?.[1]),
    ['{"SET":"here"}', '{"EMPTY":""}'],
  )
})

test('fn rollback says which version it went past that had begun to run', async (t) => {
  const versions = [
    { version: 4, state: 'live' },
    { version: 3, state: 'withdrawn', reason: 'v4 was wanted while it ran in 1 of 2 instances' },
    { version: 2, state: 'replaced' },
    { version: 1, state: 'withdrawn', reason: 'v2 was wanted while it was a canary, at step 1' },
  ]
  const { env } = await gatewayOf(t, ({ method, path }) => {
    if (method === 'POST') return { status: 200, json: { name: 'shout', version: 2, changed: true } }
    return { status: 200, json: path.endsWith('/versions') ? { versions } : { ...running, version: 4 } }
  })
  const ran = await concord(['fn', 'rollback', 'shout', '--no-wait'], { env })
  assert.match(
    ran.stderr,
    /^past v3: v4 was wanted while it ran in 1 of 2 instances; .* --to v3' goes there$/m,
  )
  assert.doesNotMatch(ran.stderr, /past v[124]/)
  assert.match(ran.stdout, /shout v2 will run/)
})
