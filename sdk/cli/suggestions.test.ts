import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFails, concord } from './test-cli.ts'

test('an unknown command, option or value is a usage error that names the nearest', async () => {
  assertFails(
    await concord(['deplo']),
    2,
    /unknown command 'deplo'; did you mean 'concord fn deploy' or 'concord deploy'\?/,
  )
  assertFails(await concord(['fn', 'inspct', 'x']), 2, /did you mean 'concord fn inspect'\?/)
  assertFails(await concord(['logs', 'x']), 2, /unknown command 'logs'; did you mean 'concord fn logs'\?/)
  assertFails(await concord(['fn', 'stat', 'x']), 2, /did you mean 'concord fn state'\?/)
  assertFails(await concord(['fn', 'delete', 'x']), 2, /did you mean 'concord fn rm'\?/)
  assertFails(await concord(['stream', 'remove', 'x']), 2, /did you mean 'concord stream rm'\?/)
  assertFails(await concord(['fn', 'foo']), 2, /unknown command 'foo'; see 'concord fn --help'/)
  assertFails(await concord(['fn', 'produce']), 2, /did you mean 'concord produce'\?/)
  assertFails(await concord(['frobnicate']), 2, /unknown command 'frobnicate'; see 'concord --help'/)
  assertFails(await concord(['fn', 'ls', '--jsn']), 2, /unknown option '--jsn' \(Did you mean --json\?\)/)
  assertFails(await concord(['dlp', 'ls']), 2, /unknown command 'dlp'; did you mean 'concord dlq'\?/)
  assertFails(await concord(['dlq', 'lss']), 2, /unknown command 'lss'; did you mean 'concord dlq ls'\?/)
  assertFails(await concord(['dlq', 'frobnicate']), 2, /see 'concord dlq --help'/)
  assertFails(
    await concord(['produce', 's', 'access.log']),
    2,
    /a file of records is named with --file; see 'concord produce --help'/,
  )
  assertFails(
    await concord(['produce', 's', '--rate', 'fast']),
    2,
    /Expected a number above 0; see 'concord produce --help'/,
  )
  assertFails(
    await concord(['fn', 'scale', 'x', 'many']),
    2,
    /Expected a whole number of at least 0; see 'concord fn scale --help'/,
  )
  assertFails(
    await concord(['fn', 'scale', 'x', '-3']),
    2,
    /'-3' is below 0, and no number that is meant here can be; see 'concord fn scale --help'/,
  )
  for (const port of ['abc', '65536', '-1'])
    assertFails(
      await concord(['up', '--nats-port', port]),
      2,
      /Expected a whole number from 0 to 65535; see 'concord up --help'/,
    )
  for (const servers of ['--zookeeper', '--nats'])
    assertFails(
      await concord(['cluster', 'up', servers, '2']),
      2,
      /Expected 1 or 3: two are no safer than one; see 'concord cluster up --help'/,
    )
  assertFails(await concord(['graph', '--format', 'png']), 2, /text, dot, mermaid, svg/)
  assertFails(await concord(['kill']), 2, /--id <id>/)
  assertFails(await concord(['kill', 'score-0']), 2, /say 'concord kill --id score-0'/)
  assertFails(
    await concord(['produce', 's', '--key', 'a', '--ndjson'], { env: { CONCORD_URL: 'http://localhost' } }),
    2,
    /give one of them/,
  )
})

test('help shows what --help shows, also for a command in a group', async () => {
  assert.equal((await concord(['help'])).stdout, (await concord(['--help'])).stdout)
  assert.equal(
    (await concord(['help', 'fn', 'deploy'])).stdout,
    (await concord(['fn', 'deploy', '--help'])).stdout,
  )
  assertFails(
    await concord(['help', 'inspect']),
    2,
    /the help of 'inspect': there is no such command; did you mean 'concord fn inspect' or 'concord stream inspect'\?/,
  )
})

test('an empty name, file or folder is refused before anything is done: it comes of a variable that is not set', async () => {
  const said = (what: string) =>
    new RegExp(`${what} is empty: is a variable of the shell not set\\?; see 'concord`)
  assertFails(await concord(['fn', 'rm', '']), 2, said("argument 'name'"))
  assertFails(await concord(['asset', 'push', 'score', 'model.bin', '']), 2, said("argument 'files'"))
  assertFails(await concord(['dlq', 'redrive', '']), 2, said("argument 'function'"))
  assertFails(await concord(['init', '']), 2, said("argument 'name'"))
  assertFails(
    await concord(['fn', 'state', 'score', '']),
    2,
    /argument 'key' is empty: .* not set\? If it is meant, say --key-base64=; see 'concord fn state --help'/,
  )
  assertFails(await concord(['up', '--home', '']), 2, said("option '--home <folder>'"))
  assertFails(await concord(['produce', 'words', '--file', '']), 2, said("option '-f, --file <file>'"))
})

test('a moment is a time ago or a date with its year, and no mere number', async () => {
  for (const moment of ['3', 'yesterday', '-3h', '12-31'])
    assertFails(
      await concord(['dlq', 'redrive', '--since', moment]),
      2,
      /Expected 90s, 15m, 2h, 3d, or a date as in 2026/,
    )
})
