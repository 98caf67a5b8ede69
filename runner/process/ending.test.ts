import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { test } from 'node:test'
import { endingOf, neighboursGoOn, parseEnding } from './ending.ts'

test('WatchdogPipe beats while all file threads are busy, and ends with its reason', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pipe-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  const script = `
    import { open } from 'node:fs'
    import { endingOf, WatchdogPipe } from ${JSON.stringify(import.meta.resolve('./ending.ts'))}
    for (let i = 0; i < 4; i++) open(${JSON.stringify(fifo)}, () => undefined) // nobody writes to it
    const pipe = new WatchdogPipe()
    pipe.loads()
    pipe.beats()
    process.stdin.on('data', () => pipe.end(endingOf('memory', 'why')))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['pipe', 'inherit', 'inherit', 'pipe'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '4' },
  })
  t.after(() => child.kill('SIGKILL'))
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdio[3] as Readable })) {
    lines.push(line)
    if (lines.length === 4) child.stdin!.end('now')
  }
  assert.deepEqual(lines.slice(0, 4), ['loading', '.', '.', '.'])
  assert.deepEqual(parseEnding(lines.at(-1)!), endingOf('memory', 'why'))
})

test('WatchdogPipe without a watchdog writes nothing, and still ends the process', async () => {
  const script = `
    import { endingOf, WatchdogPipe } from ${JSON.stringify(import.meta.resolve('./ending.ts'))}
    const pipe = new WatchdogPipe()
    pipe.loads()
    pipe.beats()
    pipe.end(endingOf('memory', 'why'))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' })
  const signal = await new Promise((resolve) => child.once('close', (_, by) => resolve(by)))
  assert.equal(signal, 'SIGKILL')
})

test('neighboursGoOn: an instance that fails while all drain does not cut the others short, unless nothing can be trusted', () => {
  const goOn = (isDraining: boolean) =>
    (
      ['functionFailed', 'checkpoint', 'recordBroke', 'deadline', 'memory', 'crashed', 'superseded'] as const
    ).filter((reason) => neighboursGoOn(endingOf(reason, ''), isDraining))
  assert.deepEqual(goOn(false), ['functionFailed', 'checkpoint'])
  assert.deepEqual(goOn(true), ['functionFailed', 'checkpoint', 'recordBroke', 'deadline'])
})
