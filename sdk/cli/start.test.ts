import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bin, concord, plainNode, root } from './test-cli.ts'

test('--help costs at most 150 ms of CPU, or four times what Node alone does', async () => {
  const { code, stdout } = await concord(['--help'])
  assert.equal(code, 0)
  assert.match(stdout, /Usage: concord/)
  // CPU time, and the best of a few: the machine may be slow, or busy with other tests.
  const best = (...args: string[]): number => Math.min(...[1, 2, 3, 4, 5].map(() => cpuMsOf(args)))
  const [help, bare] = [best(join(root, 'sdk/cli/bin.mjs'), '--help'), best('--eval', '')]
  assert.ok(help <= Math.max(150, 4 * bare), `${help} ms, Node alone ${bare} ms`)
})

/** CPU time of a Node process, as it knows it itself at its end. */
function cpuMsOf(args: readonly string[]): number {
  const tell = 'const{user,system}=process.cpuUsage();process.stderr.write(String((user+system)/1000))'
  const hook = `data:text/javascript,process.on('exit',()=>{${tell}})`
  return Number(spawnSync(process.execPath, ['--import', hook, ...args], { encoding: 'utf8' }).stderr)
}

test('what every command loads is without zod, which takes as long as all else', async () => {
  await concord(['version']) // builds dist/ where a source is newer
  const loaded = withImports(join(root, 'dist/cli.mjs'))
  assert.ok(loaded.size > 1)
  const heavy = [...loaded].filter(([, text]) => /^\/\/ node_modules\/zod\//m.test(text))
  assert.deepEqual(
    heavy.map(([file]) => file),
    [],
  )
})

/** A module, and all that it imports before it runs. */
function withImports(file: string, found = new Map<string, string>()): ReadonlyMap<string, string> {
  if (found.has(file)) return found
  const text = readFileSync(file, 'utf8')
  found.set(file, text)
  for (const [, chunk] of text.matchAll(/^(?:import|\}) .*?"(\.[^"]+)";$/gm))
    withImports(join(file, '..', chunk!), found)
  return found
}

test('output that cannot be written, as on a full disk, ends a command with one line and exit code 1', () => {
  const full = openSync('/dev/full', 'w')
  const ran = spawnSync(plainNode, [bin, 'version'], { stdio: ['ignore', full, 'pipe'], encoding: 'utf8' })
  const mute = spawnSync(plainNode, [bin, 'frobnicate'], { stdio: ['ignore', 'pipe', full] })
  closeSync(full)
  assert.match(ran.stderr, /^concord: Cannot write the output: ENOSPC[^\n]*\n$/)
  assert.deepEqual([ran.status, mute.status], [1, 2])
})
