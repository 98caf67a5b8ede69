/**
 * The demo as people run it: real processes, a real platform, a folder of its own to leave nothing in.
 * @module
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { generateTraffic } from './generator.ts'
import type { Summary } from './summary.ts'
import type { SwapFigures } from './swap/report.ts'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

/** A folder for everything temporary that the demo makes; its path is in the environment of every process it starts. */
function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'concord-demo-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function startDemo(folder: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return spawn(process.execPath, ['--no-node-snapshot', main, ...args], {
    env: { ...process.env, TMPDIR: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function runDemo(folder: string, args: readonly string[], env?: NodeJS.ProcessEnv) {
  const demo = startDemo(folder, args, env)
  const [stdout, stderr, [code]] = await Promise.all([
    text(demo.stdout),
    text(demo.stderr),
    once(demo, 'exit'),
  ])
  return { stdout, stderr, code: code as number | null }
}

/** Processes that have the folder in their environment. */
function processesOf(folder: string): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  return pids.filter((pid) => environmentOf(pid).includes(folder))
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    return '' // it has ended meanwhile, or is somebody else's
  }
}

test('demo counts every request of every client in the deployed functions, and leaves nothing behind', async (t) => {
  const folder = temporaryFolder(t)
  const lines = [...generateTraffic(11, 3_000).lines]
  const wanted: Record<string, number> = {}
  for (const line of lines) wanted[line.split(' ')[0]!] = (wanted[line.split(' ')[0]!] ?? 0) + 1
  const log = join(folder, 'access.log')
  writeFileSync(
    log,
    gzipSync([...lines.slice(0, 1_500), 'this is no log line', ...lines.slice(1_500)].join('\n')),
  )

  const { stdout, stderr, code } = await runDemo(folder, ['--input', log, '--json'])
  assert.equal(code, 0, stderr)
  const summary = JSON.parse(stdout.trim().split('\n').at(-1)!) as Summary
  assert.deepEqual(summary.clients, wanted)
  assert.deepEqual(summary.input, { records: 3_001 })
  assert.deepEqual(summary.functions.parse, { in: 3_001, out: 3_000, errors: 1 })
  assert.deepEqual(summary.functions.score, { in: 3_000, out: 3_000, errors: 0 })
  assert.equal(summary.functions.alert.in, 3_000)
  assert.equal(summary.lost, 0)
  assert.ok(
    summary.latencyMs.p50 > 0 &&
      summary.latencyMs.p99 >= summary.latencyMs.p50 &&
      summary.recordsPerSecond > 0,
  )
  assert.deepEqual(readdirSync(folder), ['access.log'])
  assert.deepEqual(processesOf(folder), [])
})

test('demo leaves nothing behind when it is interrupted in the middle', async (t) => {
  const folder = temporaryFolder(t)
  const demo = startDemo(folder, ['--rate', '100'])
  const exited = once(demo, 'exit')
  demo.stdout.resume()
  for await (const chunk of demo.stderr.iterator({ destroyOnReturn: false })) {
    if (String(chunk).includes('Streaming')) break
  }
  demo.stderr.resume()
  demo.kill('SIGINT')
  demo.kill('SIGINT')
  assert.deepEqual(await exited, [130, null])
  assert.deepEqual(readdirSync(folder), [])
  assert.deepEqual(processesOf(folder), [])
})

test('demo refuses a flag or a file that it cannot use, before it starts anything', async (t) => {
  const folder = temporaryFolder(t)
  const results = await Promise.all([
    runDemo(folder, ['--recrods', '5']),
    runDemo(folder, ['--input', '/nowhere']),
  ])
  assert.deepEqual(
    results.map(({ code, stdout }) => [code, stdout]),
    [
      [2, ''],
      [2, ''],
    ],
  )
  assert.match(results[0]!.stderr, /--recrods/)
  assert.match(results[1]!.stderr, /Cannot read --input \/nowhere: ENOENT/)
  assert.deepEqual(readdirSync(folder), [])
})

test('demo says why its platform did not start, and where its logs are or how to keep them', async (t) => {
  const folder = temporaryFolder(t)
  const noServer = { CONCORD_NATS_SERVER: join(folder, 'nowhere') }
  const gone = await runDemo(folder, [], noServer)
  assert.equal(gone.code, 1)
  assert.match(gone.stderr, /demo: .*CONCORD_NATS_SERVER names .*\(--keep would leave its logs\)\n$/)
  assert.deepEqual(readdirSync(folder), [])
  const kept = await runDemo(folder, ['--keep'], noServer)
  assert.equal(kept.code, 1)
  const [left] = readdirSync(folder)
  assert.ok(kept.stderr.includes(`The platform did not start; what it left is in ${join(folder, left!)}\n`))
  assert.match(kept.stderr, /demo: .*CONCORD_NATS_SERVER names [^(]*\n$/)
})

test('the demo of scaling sends a day in some seconds, gets a receipt for each order, and draws it', {
  timeout: 300_000,
}, async (t) => {
  const folder = temporaryFolder(t)
  const svg = join(folder, 'day.svg')
  const args = ['--scale', '--seconds', '6', '--rate', '300', '--json', '--svg', svg]
  const { stdout, stderr, code } = await runDemo(folder, args)
  assert.equal(code, 0, stderr)
  const figures = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Record<string, number>
  assert.ok(figures['sent']! > 300)
  assert.deepEqual([figures['received'], figures['lost'], figures['wrong']], [figures['sent'], 0, 0])
  assert.ok(figures['instancesMax']! >= 1 && figures['latencyMaxMs']! > 0)
  assert.match(readFileSync(svg, 'utf8'), /^<svg .*>orders\/s<\/text>/s)
  assert.deepEqual(processesOf(folder), [])
})

test('the demo of swap replaces the model under load, has the bad one rolled back, and says how right each was', {
  timeout: 300_000,
}, async (t) => {
  const folder = temporaryFolder(t)
  const args = ['--swap', '--seconds', '10', '--rate', '500', '--seed', '1', '--json']
  const { stdout, stderr, code } = await runDemo(folder, args)
  assert.equal(code, 0, stderr)
  const figures = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as SwapFigures
  const { sent, received, lost, repeated, missed, versions, canary, versionAtEnd } = figures
  assert.ok(sent > 2_000, `${sent} clicks`)
  assert.deepEqual([received, lost, repeated, missed, versionAtEnd], [sent, 0, 0, 0, 2])
  assert.equal(canary.state, 'failed')
  assert.match(
    canary.reason,
    /^at 10 % of the keys.* at which the version before did not.*Invalid URL.*none of them lost/,
  )
  assert.equal(
    versions.reduce((sum, { clicks }) => sum + clicks, 0),
    sent,
    'each click by one version',
  )
  assert.ok(versions.every(({ clicks }) => clicks > 0))
  assert.ok(figures.pauseMs > 0 && figures.gapMs > 0)

  const traffic = generateTraffic(1, sent)
  for (const _ of traffic.lines); // labels are known as far as lines are read
  const labelled = [...traffic.labels.values()].filter((fraud) => fraud).length
  const frauds = versions.reduce((sum, version) => sum + version.frauds, 0)
  assert.ok(frauds > 0 && frauds <= labelled, `${frauds} of ${labelled}`)
  for (const { found, right, precision, recall, frauds } of versions) {
    assert.ok(right <= Math.min(found, frauds))
    assert.deepEqual([precision, recall], [found ? right / found : 1, frauds ? right / frauds : 1])
  }
  assert.deepEqual(processesOf(folder), [])
})
