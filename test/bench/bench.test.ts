import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateTraffic } from '../../functions/demo/generator.ts'
import { tempDir } from '../../infra/minimesos/test-framework.ts'
import { endLeftovers, findLeftovers } from '../check/leftovers.ts'
import type { FigureReport } from './suite/report.ts'

const nodeFlags = ['--no-node-snapshot', '--disable-warning=ExperimentalWarning']

async function bench(...args: readonly string[]) {
  const child = spawn(process.execPath, [...nodeFlags, join(import.meta.dirname, 'main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [[code], out, error] = await Promise.all([
    once(child, 'exit'),
    text(child.stdout),
    text(child.stderr),
  ])
  return { code: code as number, out, error }
}

/** Those whose ratios are between turns of one measurement. */
const takesTurns = new Set(['poison'])

/** Runs one with few records, and holds what it says against the promised shape. @returns Its figures by name. */
async function measured(name: string, references: readonly string[], ...words: readonly string[]) {
  const chosen = references.length === 0 ? 'none' : references.join(',')
  const { code, out, error } = await bench(name, '--runs', '1', '--references', chosen, '--json', ...words)
  assert.equal(code, 0, error)
  assert.doesNotMatch(out, /mean nothing/)
  const lines = out.split('\n').filter((line) => line.startsWith('{'))
  const reports = lines.map((line) => JSON.parse(line) as FigureReport)
  assert.equal(reports.at(-1)!.name, name)
  for (const { median, checks, reference, ...rest } of reports) {
    assert.deepEqual(Object.keys(rest).sort(), ['machine', 'name', 'runs', 'spread', 'unit'])
    assert.deepEqual(checks, { lost: 0, repeated: 0, reordered: 0 })
    for (const { median: of, ratio } of Object.values(reference))
      assert.ok(takesTurns.has(name) ? Number.isFinite(ratio) : Math.abs(ratio - median / of) < 1e-9)
  }
  assert.deepEqual(Object.keys(reports.at(-1)!.reference).sort(), [...references].sort())
  return new Map(reports.map((report) => [report.name, report]))
}

/** Each is a process that waits as much as it works, and judged by what it counts: two at a time, the longest first. */
describe('bench', { concurrency: 2 }, () => {
  test('bench limits: what breaks a limit has its verdict, and the function beside loses nothing', async () => {
    const figures = await measured('limits', ['alone', 'spin'], '--records', '2')
    assert.equal(figures.get('limits')!.unit, 'ms')
    assert.ok(figures.get('limits.loop')!.median > -1, 'never before the limit')
    assert.ok(figures.has('limits.regexp'))
  })

  test('bench loglab: every line goes through each of the seven tasks', async () => {
    const figures = await measured('loglab', ['a'], '--records', '2000')
    assert.equal(figures.size, 8)
    for (const { median } of figures.values()) assert.ok(median > 0)
  })

  test('bench density: an instance takes less in company than alone', async () => {
    const figures = await measured('density', ['isolate', 'alone'])
    const { median, unit, reference } = figures.get('density')!
    assert.equal(unit, 'MiB')
    assert.ok(median < reference['alone']!.median)
  })

  test('bench tax: the runner takes CPU beside the function', async () => {
    const figures = await measured('tax', ['aStore'], '--records', '40000')
    assert.equal(figures.get('tax')!.unit, 'µs/record')
    assert.ok(figures.get('tax.count')!.median > figures.get('tax')!.median)
  })

  test('bench overload: what a flooded function does not do at once waits, here or on disk, and comes in order', async () => {
    const figures = await measured('overload', ['enqueue'], '--records', '100000')
    assert.equal(figures.get('overload.dropped')!.median, 0, 'block drops nothing')
    assert.ok(figures.get('overload')!.median > 0)
  })

  test('bench throughput: every record came once and in order, through Concord and every reference', async () => {
    const figures = await measured('throughput', ['aStore', 'b', 'c', 'c2', 'dFrames'], '--records', '20000')
    assert.equal(figures.get('throughput')!.unit, 'records/s')
    assert.ok(figures.get('throughput')!.median > 0)
  })

  test('bench clicks: every line of the input comes to a verdict, once and in the order of its client', async (t) => {
    const lines = [...generateTraffic(3, 500).lines]
    const file = join(tempDir(t), 'access.log')
    writeFileSync(file, [...lines, 'not a line of a log', ''].join('\n'))
    const figures = await measured('clicks', ['a'], '--records', '3000', '--input', file)
    assert.equal(figures.get('clicks')!.unit, 'lines/s')
  })

  test('bench latency: every record came once and in order, and no percentile exceeds a higher one', async () => {
    const figures = await measured('latency', ['b', 'c2'], '--records', '10000')
    const of = (name: string) => figures.get(name)!.median
    assert.ok(
      0 < of('latency.p50') && of('latency.p50') <= of('latency') && of('latency') <= of('latency.p999'),
    )
  })

  test('bench poison: what is to throw never comes, everything else does, under each policy', async () => {
    const figures = await measured('poison', ['skip', 'deadLetter', 'retry'], '--records', '200000')
    assert.ok(figures.get('poison')!.median > 0)
    assert.ok(figures.has('poison.less') && figures.has('poison.throw-isolate'))
  })

  test('bench state: both stores answer, at both sizes', async () => {
    const figures = await measured('state', ['map'], '--records', '20000')
    for (const name of ['state', 'state.set', 'state.get-10', 'state.set-10'])
      assert.ok(figures.get(name)!.median > 0, name)
  })

  test('bench typed: both stores answer for each helper', async () => {
    const figures = await measured('typed', ['map'], '--records', '20000')
    for (const name of ['typed', 'typed.timer-take', 'typed.expire', 'typed.keys'])
      assert.ok(figures.get(name)!.median > 0 && figures.get(name)!.reference['map'] !== undefined, name)
  })

  test('bench that is interrupted says nothing of it, and leaves nothing', async (t) => {
    const dir = tempDir(t)
    const child = spawn(process.execPath, [...nodeFlags, join(import.meta.dirname, 'main.ts'), 'latency'], {
      env: { ...process.env, TMPDIR: dir },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const said = text(child.stderr)
    const exited = once(child, 'exit')
    const places = () => readdirSync(dir).filter((name) => name.startsWith('concord-bench-'))
    const loads = () => findLeftovers(dir).filter(({ command }) => command.includes('paced-main.ts'))
    while (loads().length === 0) await sleep(50)
    child.kill('SIGINT')
    assert.deepEqual(await exited, [130, null])
    assert.equal(await said, '')
    assert.deepEqual(places(), [])
    assert.equal(await endLeftovers(dir), true)
  })
})

// Alone: its load lasts eight seconds, in which a version has to be made.
test('bench swap: versions change under load, every record comes once, in order, of a version not older', async () => {
  const figures = await measured('swap', ['migrate'], '--records', '100000')
  assert.equal(figures.get('swap')!.unit, 'ms')
  assert.ok(figures.get('swap.changes')!.median >= 1)
})

test('npm run bench without a name lists; with an unknown one it names the nearest', async () => {
  const listed = await bench()
  assert.equal(listed.code, 0)
  assert.match(listed.out, /^ {2}throughput {2}/m)
  const unknown = await bench('troughput')
  assert.equal(unknown.code, 2)
  assert.match(unknown.error, /no benchmark 'troughput': did you mean 'throughput'\?/)
})
