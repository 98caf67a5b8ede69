import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { FigureReport } from './suite/report.ts'

async function bench(...args: readonly string[]) {
  const flags = ['--no-node-snapshot', '--disable-warning=ExperimentalWarning']
  const child = spawn(process.execPath, [...flags, join(import.meta.dirname, 'main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [[code], out, error] = await Promise.all([
    once(child, 'exit'),
    text(child.stdout),
    text(child.stderr),
  ])
  return { code: code as number, out, error }
}

test('npm run bench -- throughput --json ends with its object, and every record came once and in order', async () => {
  const words = ['--runs', '1', '--records', '20000', '--references', 'aStore,b,c,c2,dFrames', '--json']
  const { code, out, error } = await bench('throughput', ...words)
  assert.equal(code, 0, error)
  const { name, runs, unit, median, reference, checks, ...rest } = JSON.parse(
    out.trim().split('\n').at(-1)!,
  ) as FigureReport
  assert.deepEqual(
    { name, runs, unit, checks, keys: Object.keys(rest).sort() },
    {
      ...{ name: 'throughput', runs: 1, unit: 'records/s', keys: ['machine', 'spread'] },
      checks: { lost: 0, repeated: 0, reordered: 0 },
    },
  )
  assert.ok(median > 0)
  assert.deepEqual(Object.keys(reference).sort(), ['aStore', 'b', 'c', 'c2', 'dFrames'])
  for (const { median: of, ratio } of Object.values(reference))
    assert.ok(Math.abs(ratio - median / of) < 1e-9)
  assert.doesNotMatch(out, /mean nothing/)
})

test('npm run bench without a name lists; with an unknown one it names the nearest', async () => {
  const listed = await bench()
  assert.equal(listed.code, 0)
  assert.match(listed.out, /^ {2}throughput {2}/m)
  const unknown = await bench('troughput')
  assert.equal(unknown.code, 2)
  assert.match(unknown.error, /no benchmark 'troughput': did you mean 'throughput'\?/)
})
