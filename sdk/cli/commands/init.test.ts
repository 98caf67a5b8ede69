import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { assertFails, concord, gatewayOf, temporaryFolder, withTestsNode } from '../test-cli.ts'

test('init makes a project whose test runs as it is, and overwrites nothing', async (t) => {
  const cwd = temporaryFolder(t)
  assert.equal((await concord(['init', 'shout'], { cwd })).code, 0)
  const ran = await promisify(execFile)('npm', ['test'], {
    cwd: join(cwd, 'shout'),
    env: { ...process.env, ...withTestsNode, NODE_TEST_CONTEXT: undefined },
  })
  assert.match(ran.stdout, /pass 1/)
  assertFails(await concord(['init', 'shout'], { cwd }), 5, /it is not empty/)
  assertFails(await concord(['init', 'Shout'], { cwd }), 2, /expected a lower-case letter/)
})

test('test and deploy name globals that unit tests have and functions lack', async (t) => {
  const cwd = temporaryFolder(t)
  await concord(['init', 'shout'], { cwd })
  const file = join(cwd, 'shout', 'index.ts')
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace('record.text()', 'Buffer.from(record.value).toString()'),
  )
  const said = /^ *index\.ts:\d+:\d+: 'Buffer' is not there where functions run: use Uint8Array/m
  const tested = await concord(['test'], { cwd: join(cwd, 'shout'), env: withTestsNode })
  assert.equal(tested.code, 0, 'the test is green')
  assert.match(tested.stderr, said)
  const { env } = await gatewayOf(t, () => ({
    status: 200,
    json: { name: 'shout', version: 1, changed: true },
  }))
  const deployed = await concord(['fn', 'deploy', 'shout', '--no-wait'], { cwd, env })
  assert.equal(deployed.code, 0, 'the deploy goes on')
  assert.match(deployed.stderr, said)
})

test('init says why there can be no such folder, and the next step as a shell takes it', async (t) => {
  const cwd = temporaryFolder(t)
  writeFileSync(join(cwd, 'file'), '')
  assertFails(
    await concord(['init', '/proc/x'], { cwd }),
    1,
    /Cannot make the folder \/proc\/x: no folder can be made/,
  )
  assertFails(await concord(['init', 'file'], { cwd }), 1, /a file has that name; name another one/)
  assertFails(await concord(['init', 'file/x'], { cwd }), 1, /a file is in its way/)
  const nextOf = async (path: string, from = cwd) =>
    /Next: .*/.exec((await concord(['init', path], { cwd: from })).stderr)?.[0]
  const step = 'npm test && npm run deploy'
  assert.equal(await nextOf('a b/shout'), `Next: cd 'a b/shout' && ${step}`)
  mkdirSync(join(cwd, 'here'))
  assert.equal(await nextOf('.', join(cwd, 'here')), `Next: ${step}`)
  assert.equal(await nextOf('../there', join(cwd, 'here')), `Next: cd ${join(cwd, 'there')} && ${step}`)
})

test('the project of init passes its type check', async (t) => {
  const cwd = temporaryFolder(t)
  await concord(['init', 'shout'], { cwd })
  const check = () => promisify(execFile)('npm', ['run', 'types'], { cwd: join(cwd, 'shout') })
  await check()
  const file = join(cwd, 'shout', 'index.ts')
  writeFileSync(file, readFileSync(file, 'utf8').replace('ctx.produceRecord(', 'ctx.produceRecrod('))
  await assert.rejects(check(), (error: { stdout: string }) =>
    /Did you mean 'produceRecord'/.test(error.stdout),
  )
})
