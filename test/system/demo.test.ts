import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const realLog = join(root, '../shared/data/access.log')

interface Summary {
  readonly input: { readonly records: number }
  readonly functions: Readonly<
    Record<string, { readonly in: number; readonly out: number; readonly errors: number }>
  >
  readonly lost: number
  readonly clients: Readonly<Record<string, number>>
}

/** Real requests where they are at hand; else the demo's own generator, through a file all the same. */
function logFile(t: TestContext): string {
  if (existsSync(realLog)) return realLog
  const dir = mkdtempSync(join(tmpdir(), 'concord-log-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const file = join(dir, 'access.log')
  const line = (i: number): string =>
    `10.0.${i % 7}.${i % 50} - - [17/May/2015:10:05:${String(i % 60).padStart(2, '0')} +0000] "GET /p/${i} HTTP/1.1" 200 ${i} "-" "Mozilla/5.0 (X11; Linux x86_64)"`
  writeFileSync(file, `${Array.from({ length: 10_000 }, (_, i) => line(i)).join('\n')}\n`)
  return file
}

function countsOf(lines: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const line of lines) {
    const client = line.slice(0, line.indexOf(' '))
    counts[client] = (counts[client] ?? 0) + 1
  }
  return counts
}

function startDemo(t: TestContext, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const demo = spawn(
    process.execPath,
    ['--no-node-snapshot', join(root, 'functions/demo/main.ts'), ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    },
  )
  demo.stderr!.pipe(process.stderr, { end: false })
  t.after(() => demo.kill('SIGTERM'))
  return demo
}

async function summaryOf(demo: ChildProcess): Promise<{ code: number | null; summary: Summary }> {
  let last = ''
  for await (const line of createInterface({ input: demo.stdout! })) last = line
  const code = demo.exitCode ?? (await new Promise<number | null>((resolve) => demo.once('exit', resolve)))
  return { code, summary: JSON.parse(last) as Summary }
}

test('the demo counts each client of a log as awk would, and loses nothing', {
  timeout: 400_000,
}, async (t) => {
  const input = logFile(t)
  const lines = readFileSync(input, 'utf8').trimEnd().split('\n')
  const { code, summary } = await summaryOf(startDemo(t, ['--input', input, '--json']))
  assert.equal(code, 0)
  assert.equal(summary.lost, 0)
  assert.equal(summary.input.records, lines.length)
  assert.deepEqual(summary.clients, countsOf(lines))
})

test('the demo on generated traffic finds the fraud that was labelled', { timeout: 400_000 }, async (t) => {
  const { code, summary } = await summaryOf(startDemo(t, ['--json']))
  assert.equal(code, 0)
  assert.equal(summary.lost, 0)
  assert.ok(summary.functions['score']!.out > 0)
})

test('the demo loses nothing while nats-server is killed in the middle of it', {
  timeout: 400_000,
}, async (t) => {
  const input = logFile(t)
  const temporary = mkdtempSync(join(tmpdir(), 'concord-killed-'))
  t.after(() => rmSync(temporary, { recursive: true, force: true }))
  const demo = startDemo(t, ['--input', input, '--rate', '2500', '--json'], { TMPDIR: temporary })
  const summary = summaryOf(demo)
  await new Promise<void>((resolve) => {
    demo.stderr!.on('data', (text: Buffer) => {
      if (text.includes('Streaming')) resolve()
    })
  })
  await new Promise((resolve) => setTimeout(resolve, 1000)) // some thousands of lines into the run
  const home = globSync(join(temporary, '**/up.json'))[0]!
  const { processes } = JSON.parse(readFileSync(home, 'utf8')) as {
    processes: Record<string, { pid: number }>
  }
  process.kill(processes['nats-server']!.pid, 'SIGKILL')
  const { code, summary: seen } = await summary
  assert.equal(code, 0)
  assert.equal(seen.lost, 0)
  assert.deepEqual(seen.clients, countsOf(readFileSync(input, 'utf8').trimEnd().split('\n')))
})
