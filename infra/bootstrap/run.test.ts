import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { bundleName, isolateScripts, programs } from '../programs.mjs'

/** A checkout in which all set-up is done: nothing to install, nothing to build. */
function makeCheckout(t: TestContext, files: Readonly<Record<string, string>> = {}): string {
  const root = mkdtempSync(join(tmpdir(), 'checkout-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  for (const path of ['infra/bootstrap', 'infra/programs.mjs', 'infra/program-bundles.mjs', 'sdk/inputs.mjs'])
    cpSync(join(import.meta.dirname, '../..', path), join(root, path), { recursive: true })
  const lock = JSON.stringify({ name: 'x', lockfileVersion: 3, packages: { '': { name: 'x' } } })
  const done = {
    'package.json': '{ "name": "x", "type": "module" }',
    'package-lock.json': lock,
    'node_modules/.package-lock.json': lock,
    'sdk/built.mjs': 'export const codeIsStale = () => false',
    'dist/types/index.d.ts': '',
    'script.ts': '',
  }
  for (const [path, text] of Object.entries({ ...done, ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

function bootstrap(root: string, words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const script = join(root, 'infra', 'bootstrap', 'run.mjs')
  return spawnSync(process.execPath, [script, ...words], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
}

test('run.mjs runs the script with its arguments and flags, and adds nothing to its output (B2 of run.mjs, B4 of setup.mjs)', (t) => {
  const source =
    'const said: string[] = [...process.execArgv, ...process.argv.slice(2)]; console.log(JSON.stringify(said))'
  const root = makeCheckout(t, { 'script.ts': source })
  const { stdout, stderr, status } = bootstrap(root, ['--for', 'demo', 'script.ts', 'a', '--json'])
  assert.deepEqual(JSON.parse(stdout), [
    '--no-node-snapshot',
    '--disable-warning=ExperimentalWarning',
    'a',
    '--json',
  ])
  assert.equal(stderr, '')
  assert.equal(status, 0)
})

test('run.mjs exits with the code or signal of the script (B3)', (t) => {
  const root = makeCheckout(t, {
    'seven.ts': 'process.exit(7)',
    'killed.ts': "process.kill(process.pid, 'SIGKILL')",
  })
  assert.equal(bootstrap(root, ['seven.ts']).status, 7)
  assert.equal(bootstrap(root, ['killed.ts']).status, 128 + 9)
})

for (const signal of ['SIGTERM', 'SIGUSR2'] as const)
  test(`run.mjs passes ${signal} on and waits for the script`, async (t) => {
    const source = `process.on('${signal}', () => process.exit(5)); setTimeout(() => {}, 20_000); console.log('up')`
    const root = makeCheckout(t, { 'script.ts': source })
    const child = spawn(process.execPath, [join(root, 'infra/bootstrap/run.mjs'), 'script.ts'], { cwd: root })
    t.after(() => child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    child.kill(signal)
    assert.deepEqual(await once(child, 'exit'), [5, null])
  })

test('run.mjs refuses an unknown purpose', (t) => {
  const { status, stderr } = bootstrap(makeCheckout(t), ['--for', 'fun', 'script.ts'])
  assert.equal(status, 2)
  assert.match(stderr, /--for fun.*expected.*demo\|test\|platform\|cluster/)
})

test('run.mjs exits with 2 and says what to do if CONCORD_NATS_SERVER names no nats-server', (t) => {
  const { status, stderr } = bootstrap(makeCheckout(t), ['script.ts'], {
    CONCORD_NATS_SERVER: '/nowhere/nats-server',
  })
  assert.equal(status, 2)
  assert.match(stderr, /^set-up: CONCORD_NATS_SERVER names '\/nowhere\/nats-server'.*\n$/)
})

test('run.mjs shows the output of npm only if npm fails', (t) => {
  const packages = { '': { name: 'x' }, 'node_modules/y': { version: '1.0.0' } }
  const root = makeCheckout(t, {
    'package.json': '{ "name": "x", "dependencies": { "z": "1.0.0" } }',
    'package-lock.json': JSON.stringify({ name: 'x', lockfileVersion: 3, packages }),
  })
  const { status, stderr } = bootstrap(root, ['script.ts'], { npm_config_offline: 'true' })
  assert.equal(status, 2)
  assert.match(stderr, /^set-up: npm packages …\nset-up: '.*npm.* ci .*' failed \(1\)\.\n/)
  assert.match(stderr, /npm error/)
  assert.match(stderr, /Check the network/)
})

test('run.mjs builds what is stale, and shows the step with its time', (t) => {
  const build =
    "import { writeFileSync } from 'node:fs'; writeFileSync(new URL('../built', import.meta.url), '')"
  const built = `import { existsSync } from 'node:fs'
    export const codeIsStale = () => !existsSync(new URL('../built', import.meta.url))`
  const root = makeCheckout(t, { 'sdk/build.mjs': build, 'sdk/built.mjs': built })
  assert.match(
    bootstrap(root, ['script.ts']).stderr,
    /^set-up: building the sdk …\nset-up: building the sdk done in \d+\.\d s\n$/,
  )
  assert.equal(bootstrap(root, ['script.ts']).stderr, '')
})

test('run.mjs refuses a Node that concord would refuse, in its words, only to who sets up for concord (B7)', (t) => {
  const root = makeCheckout(t)
  const old =
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.4' } })"
  const env = {
    NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(old)}`,
    ...{ npm_config_offline: 'true', npm_config_cache: join(root, 'no-cache') },
  }
  const bin = join(import.meta.dirname, '../../sdk/cli/bin.mjs')
  const concord = spawnSync(process.execPath, [bin], { encoding: 'utf8', env: { ...process.env, ...env } })
  assert.match(concord.stderr, /^concord: this needs Node 20 or newer and runs on 18\.20\.4: install/)
  const { status, stderr } = bootstrap(root, [], env)
  assert.equal(stderr, concord.stderr.replace('concord: ', 'set-up: '))
  assert.equal(status, 2)
  for (const words of [['script.ts'], ['--for', 'cluster']])
    assert.match(bootstrap(root, words, env).stderr, /^set-up: Node 24 \(this machine has 18\.20\.4\) …\n/)
})

test('run.mjs without a script says that set-up is done, also where there was nothing to do', (t) => {
  const { stdout, stderr, status } = bootstrap(makeCheckout(t), [])
  assert.deepEqual([stdout, stderr, status], ['', 'set-up: everything is in place\n', 0])
})

/** Sources of the programs, and their bundles: each says which of the two it is. */
function programsIn(inputs: object): Record<string, string> {
  const said = (what: string): string => `console.log('${what}')`
  return {
    ...Object.fromEntries(programs.map((source) => [source, said('source')])),
    ...Object.fromEntries(programs.map((source) => [`dist/platform/${bundleName(source)}`, said('bundle')])),
    ...Object.fromEntries(isolateScripts.map((name) => [`dist/platform/${name}`, ''])),
    'dist/platform/inputs.json': JSON.stringify(inputs),
  }
}

test('run.mjs runs the bundle of a program, also if a symbolic link leads to the checkout', (t) => {
  const root = makeCheckout(t, programsIn({}))
  const link = `${root}-link`
  symlinkSync(root, link)
  t.after(() => rmSync(link))
  for (const folder of [root, link])
    assert.equal(bootstrap(root, [join(folder, 'gateway/main.ts')]).stdout, 'bundle\n', folder)
})

test('run.mjs runs the sources, with one warning, if they are newer and dist/platform cannot be written (B8)', (t) => {
  const sources = Object.entries(programsIn({})).filter(([path]) => !path.startsWith('dist/'))
  const root = makeCheckout(t, { ...Object.fromEntries(sources), 'dist/platform': '' }) // a file: even root writes nothing in it
  const { status, stdout, stderr } = bootstrap(root, [join(root, 'gateway/main.ts')])
  assert.deepEqual([status, stdout], [0, 'source\n'])
  assert.match(
    stderr,
    /^set-up: warning: .*dist\/platform cannot be written and is older than the sources.*\n$/,
  )
})

test('run.mjs ends what runs by the bundles that are there if the sources do not compile, and starts nothing (B9)', (t) => {
  const stale = { 'gateway/app.ts': [0, 0, ''] }
  const build = `export const bundlesAreStale = () => true; export const bundlesAreWhole = () => true
    if (process.argv[1].endsWith('program-bundles.mjs')) throw new Error('gateway/app.ts does not parse')`
  const root = makeCheckout(t, { ...programsIn(stale), 'infra/program-bundles.mjs': build })
  const down = bootstrap(root, [join(root, 'infra/local/down.ts')])
  assert.deepEqual([down.status, down.stdout], [0, 'bundle\n'])
  assert.match(
    down.stderr,
    /^set-up: warning: .*Error: gateway\/app\.ts does not parse.* What was built before runs\.\n$/ms,
  )
  const up = bootstrap(root, [join(root, 'infra/local/up.ts')])
  assert.deepEqual([up.status, up.stdout], [2, ''])
  assert.match(up.stderr, /gateway\/app\.ts does not parse/)
})
