import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { problem } from '../client/test-gateway.ts'
import { referencePath, referenceText } from './reference.ts'
import {
  assertFails,
  concord,
  gatewayOf,
  lastJson,
  root,
  temporaryFolder,
  withTestsNode,
} from './test-cli.ts'

test('version prints one JSON object', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  assert.equal(lastJson(await concord(['version', '--json'])).version, version)
})

test('docs/reference/cli.md matches the commands', () => {
  assert.equal(readFileSync(referencePath, 'utf8'), referenceText(), 'run: node sdk/cli/reference.ts')
})

test('a refusal becomes an exit code, and its problem one line', async (t) => {
  let status = 0
  const { env } = await gatewayOf(t, () => problem(status, 'ERR_X', 'the gateway says why.\nAnd more'))
  const expected = { 401: 3, 403: 3, 404: 4, 409: 5, 413: 6, 422: 6, 500: 1, 502: 8, 504: 7 }
  for (const [each, exitCode] of Object.entries(expected)) {
    status = Number(each)
    assertFails(await concord(['fn', 'ls'], { env }), exitCode, /the gateway says why\. And more/)
  }
})

test('--verbose shows everything known about a failure', async (t) => {
  const { env } = await gatewayOf(t, () => problem(409, 'ERR_CYCLE_BLOCKS', 'no'))
  const { stderr } = await concord(['fn', 'rm', 'x', '--verbose'], { env })
  assert.match(stderr, /^concord: no\n/)
  assert.match(stderr, /code: ERR_CYCLE_BLOCKS/)
  assert.match(stderr, /answer: 409 \{/)
})

test('an unknown or unreachable server is exit code 8', async (t) => {
  assertFails(await concord(['fn', 'ls']), 8, /No server is known in \S+: start one with 'concord up'/)
  assertFails(await concord(['fn', 'ls', '--home', '/elsewhere']), 8, /No server is known in \/elsewhere: /)
  assertFails(
    await concord(['fn', 'logs', 'x', '--tail', '10001']),
    2,
    /Expected a whole number from 0 to 10000;/,
  )
  const gone = await gatewayOf(t, () => undefined)
  await gone.close()
  assertFails(
    await concord(['fn', 'ls'], { env: gone.env }),
    8,
    /no server answers at http.*start one with 'concord up'/,
  )
  assertFails(await concord(['fn', 'ls', '--url', 'localhost:1']), 2, /expected a URL/)
  assertFails(
    await concord(['fn', 'ls', '--url', 'http://127.0.0.1:1']),
    8,
    /has a port that HTTP clients do not use, for it is another protocol's: give the gateway another one\n$/,
  )
})

test('connect finds the platform of `concord up`, and never sends its token to another server', async (t) => {
  const home = temporaryFolder(t)
  const { url, received } = await gatewayOf(t, () => ({ status: 200, json: { functions: [] } }))
  writeFileSync(join(home, 'client.json'), JSON.stringify({ url, token: 'from-up' }))
  writeFileSync(join(home, 'token'), 'from-file\n')
  await concord(['fn', 'ls', '--home', home])
  await concord(['fn', 'ls'], { env: { CONCORD_HOME: home, CONCORD_TOKEN: 'from-env' } })
  await concord(['fn', 'ls', '--home', home, '--token-file', join(home, 'token')])
  await concord(['fn', 'ls', '--home', home, '--url', `${url}/`])
  assert.deepEqual(
    received.map(({ headers }) => headers.authorization),
    ['Bearer from-up', 'Bearer from-env', 'Bearer from-file', undefined],
  )
  writeFileSync(join(home, 'client.json'), '{"url":5}')
  assertFails(await concord(['fn', 'ls', '--home', home]), 8, /No server is known/)
})

const source =
  "import { defineFunction } from 'concord'\nexport default defineFunction({ metadata: { name: 'shout', ostreams: ['loud'] } })"
const deployed = { status: 200, json: { name: 'shout', version: 2, bundleSha256: 'ab', changed: true } }
const detail = {
  name: 'shout',
  version: 2,
  state: 'running',
  instancesWanted: 1,
  instancesRunning: 1,
  manifest: { instances: 3 },
  istreams: ['words'],
  ostreams: ['loud'],
}
const instance = { id: 'shout-0', version: 2, state: 'running' }

function sourceFile(t: TestContext): string {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'shout.ts'), source)
  return join(folder, 'shout.ts')
}

test('fn deploy bundles, uploads with the flags as manifest, waits until it runs, and shows each step', async (t) => {
  const states = ['starting', 'starting', 'running']
  const { env, received } = await gatewayOf(t, ({ method }) => {
    if (method === 'POST') return deployed
    return { status: 200, json: { ...detail, instances: [{ ...instance, state: states.shift() }] } }
  })
  const ran = await concord(
    ['fn', 'deploy', sourceFile(t), '--instances', '1', '--mem', '128', '--env', 'A=b=c', '--json'],
    { env },
  )
  assert.equal(ran.code, 0, ran.stderr)
  const { name, version, instancesRunning, stepsMs, totalMs } = lastJson(ran)
  assert.deepEqual({ name, version, instancesRunning }, { name: 'shout', version: 2, instancesRunning: 1 })
  assert.deepEqual(Object.keys(stepsMs), ['read', 'bundle', 'upload', 'start'])
  assert.ok(totalMs >= stepsMs.read + stepsMs.bundle + stepsMs.upload + stepsMs.start - 4)
  assert.doesNotMatch(ran.stderr, /instances stay at/, 'it was said')
  for (const step of ['read', 'bundle', 'upload', 'start'])
    assert.match(ran.stderr, new RegExp(`^${step} .* \\d+ ms$`, 'm'))
  assert.match(received[0]!.path, /[?&]ownSizes=memMib(&|$)/, 'sizes that are said are meant')
  const upload = received[0]!.body.toString()
  assert.match(upload, /\{"resources":\{"memMib":128\},"env":\{"A":"b=c"\}\}/)
  assert.match(received[0]!.path, /[?&]instances=1(&|$)/)
  assert.match(upload, /name="source"; filename="shout.ts"/)
  assert.ok(upload.includes(source))
})

test('fn deploy of several files uploads their bundle and its source map', async (t) => {
  const { env, received } = await gatewayOf(t, () => deployed)
  const file = sourceFile(t)
  writeFileSync(join(file, '..', 'loud.ts'), "export const loud = 'loud'")
  writeFileSync(file, `import { loud } from './loud.ts'\nconsole.log(loud)\n${source}`)
  assert.equal((await concord(['fn', 'deploy', file, '--no-wait'], { env })).code, 0)
  const upload = received[0]!.body.toString()
  assert.match(upload, /name:"shout"/)
  assert.match(upload, /"sources":\["loud.ts","node_modules\/concord\/sdk.js","shout.ts"\]/)
})

test('fn deploy says at once why a function does not start', async (t) => {
  const lastExit = { code: 11, reason: 'initFailed', message: 'init threw', atMs: 0 }
  const lastError = {
    name: 'TypeError',
    message: 'x is not a function',
    at: 'shout.ts:2:9',
    stack: '',
    timeMs: 0,
  }
  const failing = { ...detail, instances: [{ ...instance, state: 'backingOff', lastExit, lastError }] }
  const { env } = await gatewayOf(t, ({ method, path }) => {
    if (method === 'POST') return deployed
    return { status: 200, json: path.endsWith('/why') ? { rollbackTo: 1 } : failing }
  })
  const { code, stderr } = await concord(['fn', 'deploy', sourceFile(t)], { env })
  assert.equal(code, 6)
  assert.match(
    stderr,
    /shout v2 does not run: shout-0 ended \(initFailed\): TypeError: x is not a function at shout.ts:2:9; .* shows more, 'concord fn rollback shout' goes back to v1/,
  )
})

test('fn deploy gives up after --timeout and says what it waits for', async (t) => {
  const { env } = await gatewayOf(t, ({ method }) =>
    method === 'POST'
      ? deployed
      : {
          status: 200,
          json: { ...detail, instances: [{ ...instance, state: 'waiting', why: 'no offer has 9 cpus' }] },
        },
  )
  const { code, stderr } = await concord(['fn', 'deploy', sourceFile(t), '--timeout', '0.1'], { env })
  assert.equal(code, 7)
  assert.match(stderr, /0 of 1 instances run it after 0.1 s: no offer has 9 cpus/)
})

test('fn deploy --until-output ends with the first output record', async (t) => {
  const { env } = await gatewayOf(t, ({ method, path }, response) => {
    if (method === 'POST') return deployed
    if (path.startsWith('/v1/functions/')) return { status: 200, json: { ...detail, instances: [instance] } }
    return void response.write(
      '{"event":"ready","hold":false}\n{"stream":"loud","partition":0,"value":"x"}\n',
    )
  })
  const ran = await concord(['fn', 'deploy', sourceFile(t), '--until-output', '--json'], { env })
  assert.equal(ran.code, 0, ran.stderr)
  assert.match(ran.stderr, /^output {2}first record of loud/m)
  assert.match(
    ran.stderr,
    /instances stay at 1, instead of 3 in the manifest: 'concord fn scale shout 3' changes that/,
  )
  assert.ok(lastJson(ran).stepsMs.output >= 0)
})

test('fn deploy says if a policy decides about the number of instances, and not --instances', async (t) => {
  const { env } = await gatewayOf(t, ({ method }) => {
    if (method === 'POST') return deployed
    return { status: 200, json: { ...detail, manifest: { scale: { max: 2 } }, instances: [instance] } }
  })
  const ran = await concord(['fn', 'deploy', sourceFile(t), '--instances', '5'], { env })
  assert.match(ran.stderr, /instances stay at 1, instead of 5: 'concord fn scale shout 5' changes that/)
})

test('deploy accepts the config.json of the original design', async (t) => {
  const { env, received } = await gatewayOf(t, () => deployed)
  const file = sourceFile(t)
  const config = join(file, '..', 'config.json')
  writeFileSync(
    config,
    JSON.stringify({ computation_name: 'shout', executable_name: 'shout.ts', mem: 128, retries: 2 }),
  )
  const { code, stdout } = await concord(['deploy', config, '--no-wait'], { env })
  assert.equal(code, 0)
  assert.match(stdout, /^shout v2 is stored and will run \([\d.]+ m?s\)\.\n$/)
  assert.match(received[0]!.body.toString(), /\{"name":"shout","resources":\{"memMib":128\},"restarts":2\}/)
})

test('an invalid function or configuration is exit code 6, and is not uploaded', async (t) => {
  const { env, received } = await gatewayOf(t, () => deployed)
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'index.ts'), 'export default {')
  assert.equal((await concord(['fn', 'deploy', folder], { env })).code, 6)
  writeFileSync(join(folder, 'concord.jsonc'), '{ "instnaces": 1 }')
  assertFails(
    await concord(['fn', 'deploy', folder], { env }),
    6,
    /concord.jsonc:1:3: unknown key 'instnaces'; did you mean 'instances'/,
  )
  assertFails(
    await concord(['fn', 'deploy', join(folder, 'nope.ts')], { env }),
    4,
    /there is no such file or folder/,
  )
  assert.equal(received.length, 0)
})

test('fn rm waits until the function is gone', async (t) => {
  const lists = [[detail], [detail], []]
  const { env, received } = await gatewayOf(t, ({ path }) =>
    path === '/v1/functions'
      ? { status: 200, json: { functions: lists.shift() } }
      : { status: 200, json: path.startsWith('/v1/dead-letters?') ? { letters: new Array(2).fill({}) } : {} },
  )
  const removed = await concord(['fn', 'rm', 'shout', '--json'], { env })
  assert.equal(
    removed.stderr,
    "2 dead letters stay and take room, until 'concord dlq rm shout --state all'\n",
  )
  assert.deepEqual(lastJson(removed), {
    name: 'shout',
    removed: true,
  })
  assert.deepEqual(
    received.map(({ method, path }) => `${method} ${path}`),
    [
      'DELETE /v1/functions/shout',
      ...new Array(3).fill('GET /v1/functions'),
      'GET /v1/dead-letters?function=shout&state=all&limit=1000',
    ],
  )
  lists.push([detail], [detail], [detail], [detail])
  assertFails(
    await concord(['fn', 'rm', 'shout', '--timeout', '0.05'], { env }),
    7,
    /still there after 0.05 s/,
  )
  assert.equal(
    (await concord(['fn', 'rm', 'shout', '--drop', '--no-wait'], { env })).stdout,
    'shout is being removed.\n',
  )
  assert.equal(received.findLast(({ method }) => method === 'DELETE')!.path, '/v1/functions/shout?drop=true')
})

test('stream rm removes a stream, or says who uses it', async (t) => {
  const { env } = await gatewayOf(t, ({ method, path }) =>
    method !== 'DELETE'
      ? problem(400, 'ERR_TEST', method)
      : path === '/v1/streams/free'
        ? { status: 200, json: null }
        : problem(409, 'ERR_STREAM_USED', "Cannot remove stream 'used': 'shout' reads it."),
  )
  assert.match((await concord(['stream', 'rm', 'free'], { env })).stdout, /^Stream free is removed\.\n$/)
  assertFails(await concord(['stream', 'rm', 'used'], { env }), 5, /'shout' reads it/)
})

const records = [0, 1, 2].map((sequence) => ({
  stream: 's',
  partition: 0,
  producer: 'p',
  sequence,
  timeMs: 0,
  key: 'k',
  value: `v${sequence}`,
}))

test('consume prints key and value, or JSON lines, and ends after --count', async (t) => {
  const { env, received } = await gatewayOf(t, (_, response) => {
    const lines = [
      { event: 'ready', hold: true },
      { event: 'gap', partition: 3, producer: 'p', records: 7 },
      ...records,
    ]
    return void response.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  })
  const ran = await concord(['consume', 's', '--count', '2', '--hold'], { env })
  assert.equal(ran.stdout, 'k\tv0\nk\tv1\n')
  assert.match(ran.stderr, /missed 7 records of partition 3/)
  assert.equal(ran.code, 0)
  assert.match(received[0]!.path, /hold=true&count=2/)
  const json = await concord(['consume', 's', '--count', '3', '--json'], { env })
  assert.deepEqual(
    json.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    records,
  )
})

test('consume fails if fewer than --count records came by --timeout', async (t) => {
  const { env } = await gatewayOf(t, (_, response) => {
    return void response.write(`{"event":"ready","hold":false}\n${JSON.stringify(records[0])}\n`)
  })
  const late = await concord(['consume', 's', '--count', '2', '--timeout', '2'], { env })
  assert.equal(late.code, 7)
  assert.match(late.stderr, /1 of 2 records came in 2 s/)
  assert.equal((await concord(['consume', 's', '--timeout', '2'], { env })).code, 0)
})

test('consume continues when its gateway breaks off or ends the connection, says so once, and counts what it missed', async (t) => {
  const { env, received } = await gatewayOf(t, (_, response) => {
    const text = [{ event: 'ready', hold: false }, records[received.length === 1 ? 0 : 2]]
      .map((line) => `${JSON.stringify(line)}\n`)
      .join('')
    if (received.length === 1) return void response.write(text, () => response.destroy())
    return received.length === 2 ? void response.end() : void response.write(text)
  })
  const ran = await concord(['consume', 's', '--count', '2'], { env })
  assert.equal(ran.stdout, 'k\tv0\nk\tv2\n')
  assert.equal(ran.code, 0)
  assert.match(
    ran.stderr,
    /^following s\nwaiting for the gateway, up to 60 s: the connection to \S+ broke .*\nthe gateway is back: continuing\nfollowing s again: records in between were missed\nmissed 1 records of partition 0; --hold would wait for this reader\n$/,
  )
})

test('graph, fn ls, fn inspect, fn logs and stream ls print for people and as JSON', async (t) => {
  const summary = { ...detail, istreams: ['words'], lagMs: 480_000, recordsIn: 1, recordsOut: 1, errors: 0 }
  const manifest = {
    istreams: { words: { grouping: 'groupBy' } },
    ostreams: ['loud'],
    onError: 'skip',
    resources: { cpus: 1, memMib: 256, diskMib: 32 },
  }
  const ledger = [
    {
      stream: 'words',
      sent: 5,
      processed: 3,
      dropped: { skipped: 1 },
      inFlight: 1,
      lagMs: 312,
      unaccounted: 0,
    },
  ]
  const full = {
    ...summary,
    manifest,
    bundleSha256: 'ab',
    deployedAtMs: 0,
    instances: [
      { ...instance, restarts: 2, recordsIn: 1, recordsOut: 1, errors: 0, stateEntries: 4, why: 'because' },
    ],
    ledger,
    metrics: [],
  }
  const log = { timeMs: 0, level: 'warn', function: 'shout', version: 2, instance: 'shout-0', message: 'hm' }
  const stream = { name: 'words', partitions: 16, raw: false, producers: [], consumers: ['shout'] }
  const answers: Record<string, unknown> = {
    '/v1/functions': { functions: [summary] },
    '/v1/functions/shout': full,
    '/v1/functions/shout/logs?follow=false&tail=100': log,
    '/v1/streams': { streams: [stream] },
    '/v1/topology': { functions: [summary], streams: [stream] },
  }
  const { env } = await gatewayOf(t, ({ path }) => ({ status: 200, json: answers[path] }))
  const expected: [string[], RegExp, unknown][] = [
    [['fn', 'ls'], /^shout {5}v2 {7}running {2}1\/1 .* {2}8 min$/m, [summary]],
    [['fn', 'inspect', 'shout'], /words +5 +3 +1 skipped +1 +312 ms +0[\s\S]*shout-0: because/, full],
    [['fn', 'logs', 'shout'], /1970-01-01T00:00:00.000Z warn {2}shout-0 v2 hm/, log],
    [['stream', 'ls'], /^words +16 +no +- +shout$/m, [stream]],
    [
      ['graph', '--interval', '1'],
      /words ×16 ───▶│ shout v2 1\/1 +│───▶ loud/,
      { functions: [summary], streams: [stream], rates: { shout: { in: 0, out: 0 } } },
    ],
    [
      ['graph', '--interval', '0', '--format', 'mermaid'],
      /^flowchart LR/,
      { functions: [summary], streams: [stream], rates: {} },
    ],
  ]
  for (const [words, text, json] of expected) {
    assert.match((await concord(words, { env })).stdout, text)
    assert.deepEqual(lastJson(await concord([...words, '--json'], { env })), json)
  }
})

test('fn logs says that it follows, and that a log is empty', async (t) => {
  const logs = '/v1/functions/shout/logs'
  const { env } = await gatewayOf(t, ({ path }) =>
    path.startsWith(logs)
      ? { status: 200, json: undefined }
      : problem(404, 'ERR_FUNCTION_UNKNOWN', 'no such function'),
  )
  const run = (...words: string[]) => concord(['fn', 'logs', ...words], { env })
  const empty = await run('shout')
  assert.deepEqual([empty.code, empty.stdout], [0, ''])
  assert.match(empty.stderr, /^the log of shout is empty: [^\n]+\n$/)
  assert.equal((await run('shout', '--tail', '0')).stderr, '', 'none were asked for')
  assert.equal((await run('shout', '-f')).stderr, 'following logs of shout…\n')
  assert.doesNotMatch((await run('other', '-f')).stderr, /following/)
})

test('test runs the tests below a folder, and says if there are none', async (t) => {
  const cwd = temporaryFolder(t)
  const run = () => concord(['test'], { cwd, env: withTestsNode })
  mkdirSync(join(cwd, 'node_modules'))
  writeFileSync(join(cwd, 'node_modules', 'theirs.test.ts'), '')
  assertFails(await run(), 4, /Cannot run tests: there is no \*\.test\.ts below /)
  assertFails(
    await concord(['test', '/no/such'], { cwd, env: withTestsNode }),
    4,
    /there is no file \/no\/such/,
  )
  mkdirSync(join(cwd, 'deep'))
  assertFails(await concord(['test', 'deep'], { cwd, env: withTestsNode }), 4, /deep is a folder; go there/)
  writeFileSync(join(cwd, 'deep', 'a.test.ts'), "import { test } from 'node:test'\ntest('ours', () => {})\n")
  const ran = await run()
  assert.match(ran.stdout, /pass 1\n/)
  assert.equal(ran.code, 0, ran.stderr)
})

test('the package installs without the platform, and its command runs from anywhere', async (t) => {
  const folder = temporaryFolder(t)
  const run = promisify(execFile)
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
  })
  const [{ filename, files }] = JSON.parse(stdout)
  const paths = files.map(({ path }: { path: string }) => path)
  assert.ok(paths.includes('dist/types/index.d.ts') && paths.includes('sdk/schema/concord.schema.json'))
  const stray = paths.filter((path: string) => /\.test\.|^(infra|gateway|runner|scheduler|test)\//.test(path))
  assert.deepEqual(stray, ['sdk/cli/template/index.test.ts.tmpl'])
  await run('tar', ['-xzf', join(folder, filename), '-C', folder])
  const installed = join(folder, 'package')
  mkdirSync(join(installed, 'node_modules', '@types'), { recursive: true })
  const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  assert.deepEqual(Object.keys(dependencies), ['@types/node', 'esbuild', 'zod'])
  for (const name of Object.keys(dependencies))
    symlinkSync(join(root, 'node_modules', name), join(installed, 'node_modules', name))
  const command = join(installed, 'sdk', 'cli', 'bin.mjs')
  assert.match((await concord(['version'], { command, cwd: folder })).stdout, /^concord \d/)
  assertFails(await concord(['up'], { command, cwd: folder }), 1, /holds the command line alone/)
  const { env } = await gatewayOf(t, () => deployed)
  assert.equal(
    (await concord(['fn', 'deploy', sourceFile(t), '--no-wait'], { command, cwd: folder, env })).code,
    0,
  )
})
