import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

/** What the bootstrap and a script of the platform say on stderr, as infra/bootstrap/setup.mjs and infra/log.ts write it. */
const said = [
  'set-up: waiting for another set-up of this checkout …',
  "set-up: warning: 'node build' failed (1).",
  'Error: gateway/app.ts does not parse',
  'What was built before runs.',
  'set-up: building the sdk …',
  '{"level":"info","msg":"draining"}',
]

test('down hands on what the set-up warns of, and nothing else; with --verbose all that was said', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'concord-checkout-'))
  t.after(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'infra/bootstrap'), { recursive: true })
  const answer = {
    up: true,
    killed: false,
    natsServer: false,
    tasks: 0,
    givenUpRecords: 0,
    killedInstances: [],
  }
  writeFileSync(
    join(root, 'infra/bootstrap/run.mjs'),
    `process.stderr.write(${JSON.stringify(`${said.join('\n')}\n`)}); console.log(${JSON.stringify(JSON.stringify(answer))})`,
  )
  const program = `import { down } from ${JSON.stringify(join(import.meta.dirname, 'commands/down.ts'))}
    await down({ root: ${JSON.stringify(root)} }, { home: '/nowhere', verbose: process.argv[2] === 'verbose' || undefined })`
  writeFileSync(join(root, 'down.mts'), program)
  const run = (...words: string[]) =>
    execFileSync(
      '/bin/sh',
      ['-c', 'exec "$0" "$@" 2>&1 >/dev/null', process.execPath, join(root, 'down.mts'), ...words],
      {
        encoding: 'utf8',
      },
    )
  assert.equal(run(), `${said.slice(1, 4).join('\n')}\n`)
  assert.equal(run('verbose'), `${said.join('\n')}\n`)
})
