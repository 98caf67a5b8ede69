import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { ManualClock } from '../clock.ts'
import { writeRefusal } from './disk-check.ts'
import { Keeper, type Kept } from './keeper.ts'

/** A process of the test's own, whose life is in its hands. */
class Process implements Kept {
  stops = 0
  readonly #end = Promise.withResolvers<Awaited<Kept['exited']>>()
  readonly exited = this.#end.promise

  die(): void {
    this.#end.resolve({ code: 1, signal: null })
  }

  async stop(): Promise<void> {
    this.stops++
    this.die()
  }
}

/** A keeper on a manual clock, and what it has started. */
async function setUp(
  start: () => Promise<Process> = async () => new Process(),
  hindered?: () => Promise<string | undefined>,
) {
  const clock = new ManualClock()
  const started: Process[] = []
  const said: string[] = []
  const log = pino({ level: 'error' }, { write: (line: string) => void said.push(JSON.parse(line).msg) })
  const keeper = await Keeper.start({
    name: 'x',
    start,
    started: (process) => started.push(process),
    ...(hindered && { hindered }),
    clock,
    log,
  })
  return { clock, started, said, keeper }
}

/** Lets everything run that waits for no clock. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

test('Keeper starts again after 200 ms, doubled up to 10 s', async () => {
  const { clock, started, keeper } = await setUp()
  for (const delayMs of [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]) {
    const { length } = started
    started.at(-1)!.die()
    await settle()
    clock.advance(delayMs - 1)
    await settle()
    assert.equal(started.length, length, `before ${delayMs} ms`)
    clock.advance(1)
    await settle()
    assert.equal(started.length, length + 1, `after ${delayMs} ms`)
    assert.equal(keeper.process, started.at(-1))
  }
  await keeper.stop()
})

/** Ends as it starts, until a start is put off by 10 s. */
async function endAtOnce({ clock, started }: Awaited<ReturnType<typeof setUp>>): Promise<void> {
  for (let i = 0; i < 8; i++) {
    started.at(-1)!.die()
    await settle()
    clock.advance(10_000)
    await settle()
  }
  assert.equal(started.length, 9)
}

test('Keeper forgets earlier ends of a process that has run for 10 s', async () => {
  const kept = await setUp()
  const { clock, started, keeper } = kept
  await endAtOnce(kept)
  clock.advance(10_000)
  started.at(-1)!.die()
  await settle()
  assert.equal(started.length, 10, 'at once')
  started.at(-1)!.die()
  await settle()
  clock.advance(400)
  await settle()
  assert.equal(started.length, 11)
  await keeper.stop()
})

test('Keeper restarts a process at once that ran for some seconds, however often it is killed', async () => {
  const kept = await setUp()
  const { clock, started, keeper } = kept
  await endAtOnce(kept)
  for (let kill = 1; kill <= 50; kill++) {
    clock.advance(2_500)
    started.at(-1)!.die()
    await settle()
    assert.equal(started.length, 9 + kill)
  }
  clock.advance(1_000)
  started.at(-1)!.die()
  await settle()
  clock.advance(5_999)
  await settle()
  assert.equal(started.length, 59)
  clock.advance(1)
  await settle()
  assert.equal(started.length, 60)
  await keeper.stop()
})

test('Keeper keeps trying when a restart fails, but not when the first start does', async () => {
  let failures = 0
  let failing = false
  const { clock, started, keeper } = await setUp(async () => {
    if (!failing) return new Process()
    failures++
    throw new Error('no')
  })
  failing = true
  started[0]!.die()
  await settle()
  for (const delayMs of [200, 400, 800]) {
    clock.advance(delayMs)
    await settle()
  }
  assert.equal(failures, 3)
  failing = false
  clock.advance(1600)
  await settle()
  assert.equal(started.length, 2)
  await keeper.stop()
  await assert.rejects(
    setUp(async () => {
      throw new Error('not even once')
    }),
    /not even once/,
  )
})

test('Keeper starts nothing that could not write, says so once, and starts it when it can (K3)', async () => {
  let why: string | undefined
  const { clock, started, said, keeper } = await setUp(undefined, async () => why)
  const advance = async (ms: number) => {
    clock.advance(ms)
    for (let turn = 0; turn < 3; turn++) await settle()
  }
  why = 'the disk is full'
  started[0]!.die()
  await settle()
  for (let second = 0; second < 60; second++) await advance(1_000)
  assert.equal(started.length, 1)
  assert.deepEqual(said, ['the disk is full: x is started again once it is not'])
  why = undefined
  await advance(1_000)
  assert.equal(started.length, 2)
  why = 'the disk is full'
  started[1]!.die()
  await settle()
  await advance(1_000)
  await keeper.stop()
  assert.equal(started.length, 2)
})

test('writeRefusal says why a folder takes nothing, and leaves nothing behind', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-room-'))
  t.after(() => rm(dir, { recursive: true }))
  assert.equal(await writeRefusal(dir), undefined)
  assert.deepEqual(await readdir(dir), [])
  assert.match((await writeRefusal(join(dir, 'missing')))!, /no such file/)
})

test('Keeper.stop leaves no process running, whatever Keeper was about to do (K2)', async () => {
  const running = await setUp()
  await running.keeper.stop()
  assert.equal(running.started[0]!.stops, 1)

  const waiting = await setUp()
  waiting.started[0]!.die()
  await settle()
  await waiting.keeper.stop()
  waiting.clock.advance(60_000)
  await settle()
  assert.equal(waiting.started.length, 1)

  let gate: PromiseWithResolvers<Process> | undefined
  const starting = await setUp(() => gate?.promise ?? Promise.resolve(new Process()))
  gate = Promise.withResolvers()
  starting.started[0]!.die()
  await settle()
  starting.clock.advance(200)
  await settle()
  const stopping = starting.keeper.stop()
  const late = new Process()
  gate.resolve(late)
  await stopping
  assert.equal(late.stops, 1)
})
