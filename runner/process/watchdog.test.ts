import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import fc from 'fast-check'
import { residentBytes, Waits } from './proc.ts'
import { Watchdog } from './watchdog.ts'

const limits = {
  silenceMs: 500,
  longestSilenceMs: 5_000,
  startMs: 30_000,
  residentBytesMax: 1000,
  memoryGraceMs: 400,
  lookMs: 100,
}
const well = { waitedMs: 0, residentBytes: 1 }

test('Watchdog calls a silent runner frozen after 500 ms and at most one more look', () => {
  const watchdog = new Watchdog(limits, 0)
  watchdog.beat(50)
  const verdicts = [100, 200, 300, 400, 500, 600].map((nowMs) => watchdog.look({ ...well, nowMs }).kind)
  assert.deepEqual(verdicts, ['well', 'well', 'well', 'well', 'well', 'frozen'])
})

test('Watchdog never calls a runner frozen that beats in time, however late the watchdog looks', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 90, max: 5000 }), { maxLength: 50 }), (intervals) => {
      const watchdog = new Watchdog(limits, 0)
      let nowMs = 0
      for (const interval of intervals) {
        // It beats each 50 ms while the watchdog waits for its next look; those beats may still lie unread in the pipe.
        const before = nowMs
        nowMs += interval
        if (interval < 200) for (let at = before; at < nowMs; at += 50) watchdog.beat(at)
        assert.equal(watchdog.look({ ...well, nowMs }).kind, 'well')
      }
    }),
  )
})

test('Watchdog subtracts the time in which the runner waited for a CPU', () => {
  const watchdog = new Watchdog(limits, 0)
  watchdog.beat(0)
  let waited = 0
  const looks: string[] = []
  for (let nowMs = 100; nowMs <= 5_100; nowMs += 100) {
    waited += 95
    looks.push(watchdog.look({ nowMs, waitedMs: waited, residentBytes: 1 }).kind)
  }
  assert.deepEqual(looks, [...new Array<string>(50).fill('well'), 'frozen']) // but not for ever
})

test('Watchdog starts the count anew after it was stopped itself', () => {
  const watchdog = new Watchdog(limits, 0)
  watchdog.beat(0)
  assert.equal(watchdog.look({ ...well, nowMs: 60_000 }).kind, 'well')
  assert.equal(watchdog.look({ ...well, nowMs: 60_100 }).kind, 'well')
  for (let nowMs = 60_200; nowMs <= 60_500; nowMs += 100) watchdog.look({ ...well, nowMs })
  assert.equal(watchdog.look({ ...well, nowMs: 60_600 }).kind, 'frozen')
})

test('Watchdog waits for the first beat as long as a start may take', () => {
  const watchdog = new Watchdog(limits, 0)
  for (let nowMs = 100; nowMs <= 30_000; nowMs += 100)
    assert.equal(watchdog.look({ ...well, nowMs }).kind, 'well')
  assert.equal(watchdog.look({ ...well, nowMs: 30_100 }).kind, 'frozen')
})

test('Watchdog gives a runner that announces loading the time of a start, until its next beat (D1)', () => {
  const watchdog = new Watchdog(limits, 0)
  const look = (nowMs: number) => watchdog.look({ ...well, nowMs }).kind
  watchdog.beat(50)
  watchdog.load(60)
  for (let nowMs = 100; nowMs <= 30_000; nowMs += 100) assert.equal(look(nowMs), 'well')
  watchdog.beat(30_050)
  const verdicts = [30_100, 30_200, 30_300, 30_400, 30_500, 30_600].map(look)
  assert.deepEqual(verdicts, ['well', 'well', 'well', 'well', 'well', 'frozen'])
})

test('Watchdog reports a runner that stays beyond its memory bound, or is far beyond its memory bound', () => {
  const looks = (...residentBytes: number[]): string[] => {
    const watchdog = new Watchdog(limits, 0)
    return residentBytes.map((bytes, i) => {
      watchdog.beat(i * 100)
      return watchdog.look({ nowMs: (i + 1) * 100, waitedMs: 0, residentBytes: bytes }).kind
    })
  }
  assert.deepEqual(looks(1001, 1001, 1000, 1001, 1001), ['well', 'well', 'well', 'well', 'well'])
  assert.deepEqual(looks(1001, 1100, 1200, 1100, 1001), ['well', 'well', 'well', 'well', 'memory'])
  assert.deepEqual(looks(900, 1251), ['well', 'memory'])
})

test('residentBytes and Waits read a living process, and return nothing if there is none', async () => {
  const child = spawn('sleep', ['60'])
  try {
    assert.ok(residentBytes(child.pid!)! > 0)
    const waits = new Waits(child.pid!)
    assert.equal(waits.waitedMs(100), 0) // the count begins
    child.kill('SIGSTOP')
    child.kill('SIGCONT')
    assert.ok(waits.waitedMs(200) >= 0)
    waits.forget()
    assert.equal(waits.waitedMs(300), 0)
  } finally {
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('close', resolve))
  }
  assert.deepEqual([residentBytes(child.pid!), new Waits(child.pid!).waitedMs(0)], [undefined, 0])
})

test('Waits counts a wait for a CPU that is not over, and does not count a stopped process as waiting', async (t) => {
  const start = (...command: string[]) => {
    const child = spawn('taskset', ['-c', '0', ...command], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.after(() => child.kill('SIGKILL'))
    return child
  }
  const busy = 'console.log(1); for (;;);'
  // One that runs only when nobody else wants the core, and one that always wants it.
  const idle = start('chrt', '--idle', '0', process.execPath, '-e', busy)
  await once(idle.stdout!, 'data')
  const burner = start(process.execPath, '-e', busy)
  await once(burner.stdout!, 'data')
  const waits = new Waits(idle.pid!)
  const startMs = performance.now()
  waits.waitedMs(startMs)
  let [spanMs, waitedMs] = [0, 0]
  while (spanMs < 400) {
    await setTimeout(100)
    spanMs = performance.now() - startMs
    waitedMs = waits.waitedMs(performance.now())
  }
  assert.ok(waitedMs > spanMs * 0.8, `waited ${waitedMs} of ${spanMs} ms`)

  idle.kill('SIGSTOP')
  burner.kill('SIGSTOP')
  while (!/ T /.test(readFileSync(`/proc/${idle.pid}/stat`, 'utf8'))) await setTimeout(1)
  waits.forget()
  waits.waitedMs(0)
  assert.equal(waits.waitedMs(500), 0)
})

test('Waits counts a thread that waits for the disk, and not one that sleeps', (t) => {
  const proc = mkdtempSync(join(tmpdir(), 'proc-'))
  t.after(() => rmSync(proc, { recursive: true }))
  const says = (thread: number, state: string, ranMs: number) => {
    const folder = `${proc}/7/task/${thread}`
    mkdirSync(folder, { recursive: true })
    writeFileSync(`${folder}/stat`, `${thread} (R) D (node) ${state} 1 1`) // names may hold anything
    writeFileSync(`${folder}/schedstat`, `${ranMs * 1e6} 0 9\n`)
  }
  says(7, 'S', 10)
  says(8, 'S', 0)
  const waits = new Waits(7, proc)
  waits.waitedMs(0)
  assert.equal(waits.waitedMs(100), 0)
  says(7, 'D', 30)
  assert.equal(waits.waitedMs(200), 80)
  says(7, 'S', 30)
  assert.equal(waits.waitedMs(300), 80)
})
