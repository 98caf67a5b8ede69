/** What a command says of an error that nobody foresaw. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFails, concord } from './test-cli.ts'

/** An environment in which the program of this name has a fault where it first writes JSON. */
function withFault(program: string, fault: string): Readonly<Record<string, string>> {
  const planted = `const{stringify}=JSON;JSON.stringify=()=>{JSON.stringify=stringify;${fault}}`
  const code = `if(process.argv[1].endsWith('${program}')){${planted}}`
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` }
}

const kindLine =
  /^concord: Cannot [^:]*: TypeError: planted\. This is a fault in Concord, not yours: please report it, with what --verbose shows\n$/

test('a fault in Concord is one line that says so, and --verbose shows its stack', async () => {
  const thrown = "throw new TypeError('planted')"
  const unawaited = `setImmediate(()=>{${thrown}});return ''`
  for (const [program, command, fault] of [
    ['bin.mjs', 'version', thrown],
    ['bin.mjs', 'version', unawaited],
    ['print-config.js', 'config', thrown],
  ] as const) {
    const env = withFault(program, fault)
    const { code, stdout, stderr } = await concord([command, '--json'], { env })
    assert.deepEqual([code, stdout.trim()], [1, ''])
    assert.match(stderr, kindLine)
    const verbose = await concord([command, '--json', '--verbose'], { env })
    assert.match(verbose.stderr, /TypeError: planted(\n|\\n) +at /)
  }
})

test('what the system refuses is said as it is, and is no fault in Concord', async () => {
  const refusal = "throw Object.assign(new Error('EROFS: read-only file system'),{syscall:'open'})"
  const ran = await concord(['version', '--json'], { env: withFault('bin.mjs', refusal) })
  assertFails(ran, 1, /^concord: Cannot finish: EROFS: read-only file system \(--verbose shows where\)\n$/)
})

test('config prints a table, or JSON, and one line for a rejected configuration', async () => {
  const env = { CONCORD_HOME: '/nowhere' }
  const table = await concord(['config'], { env })
  assert.match(table.stdout, /^SETTING +VALUE +ORIGIN +MEANING\n.*home +\/nowhere +environment CONCORD_HOME/)
  const json = await concord(['config', '--json'], { env })
  assert.equal(JSON.parse(json.stdout).length, table.stdout.trim().split('\n').length - 1)
  const rejected = await concord(['config'], { env: { CONCORD_LOG_LEVEL: 'loud' } })
  assertFails(rejected, 6, /Cannot use "loud" as log\.level /)
})
