/**
 * A disk that is full, under everything that the platform writes: records go on, what ends meanwhile is started again when there
 * is room, and nothing is lost (docs/design/0003-processes-and-store.md).
 * @module
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { homeOf } from '../../infra/local/home.ts'
import { readUpFile } from '../../infra/local/up-file.ts'
import { isAlive } from '../../infra/process.ts'
import type { DeadLetterSummary, FunctionDetail } from '../../sdk/api/index.ts'
import { name, source } from './counts.ts'
import { pidOf } from './load/faults.ts'
import { Platform, Reader } from './platform.ts'

const diskMib = 256

/** A disk of its own that platforms are made on. @returns Its folder; undefined where none can be mounted. */
function mountDisk(t: TestContext): string | undefined {
  const disk = mkdtempSync(join(tmpdir(), 'concord-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMib}m`, 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    rmdirSync(disk)
    t.diagnostic('no disk could be mounted here: not tried')
    return undefined
  }
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = disk
  t.after(() => {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
    execFileSync('umount', ['-l', disk])
    rmdirSync(disk)
  })
  return disk
}

/** Leaves so much room on the disk. @returns Gives it all back. */
function fill(disk: string, leftBytes: number): () => void {
  const filler = join(disk, 'filler')
  const { bavail, bsize } = statfsSync(disk)
  try {
    writeFileSync(filler, Buffer.alloc(bavail * bsize - leftBytes))
    if (leftBytes === 0) for (;;) writeFileSync(filler, Buffer.alloc(4096), { flag: 'a' })
  } catch {} // it is full
  return () => rmSync(filler)
}

function settledAt(processed: number, deadLettered: number): (detail: FunctionDetail) => boolean {
  return ({ ledger: [input] }) =>
    input !== undefined &&
    input.sent === processed + deadLettered &&
    input.processed === processed &&
    (input.dropped['deadLettered'] ?? 0) === deadLettered &&
    input.unaccounted === 0
}

test('a full disk: records go on, all that ends returns when there is room, and nothing is lost', {
  timeout: 600_000,
}, async (t) => {
  const disk = mountDisk(t)
  if (disk !== undefined) await t.test('on a disk of its own', (t) => fillUp(t, disk)) // that goes when all on it has ended
})

async function fillUp(t: TestContext, disk: string): Promise<void> {
  const platform = await Platform.start(t)
  const produce = (values: readonly string[]) =>
    platform.json(['produce', 'said', '--key', 'k'], `${values.join('\n')}\n`)
  const kill = async (wanted: (process: string) => boolean) => {
    const { processes } = (await readUpFile(homeOf(platform.home)))!
    const victims = Object.entries(processes).flatMap(([name, id]) => (wanted(name) ? [id] : []))
    for (const { pid } of victims) process.kill(pid, 'SIGKILL')
    await platform.untilUp(() => victims.every((id) => !isAlive(id)))
  }
  const letters = () => platform.json<DeadLetterSummary[]>(['dlq', 'ls', name])
  /** What the function says of one more record. */
  const next = async (): Promise<unknown> => {
    const reader = await Reader.start(t, platform, ['counted'])
    await produce(['good'])
    await reader.read(1)
    await reader.end()
    return reader.records[0]!['value']
  }
  await platform.deploy(name, source)
  await produce([...new Array<string>(100).fill('good'), 'bad'])
  await platform.until(name, settledAt(100, 1))

  const giveBack = fill(disk, 8 * 1024 * 1024)
  await kill((process) => process === 'nats-server') // started on little room, it still has all its streams
  await produce(['bad'])
  await platform.until(name, settledAt(100, 2))
  assert.equal((await letters()).length, 2)
  giveBack()

  const makeRoom = fill(disk, 0)
  await produce(new Array<string>(100).fill('good'))
  await platform.until(name, settledAt(200, 2))
  const ended = kill(() => true)
  const { up } = (await readUpFile(homeOf(platform.home)))!
  assert.ok(isAlive(up))
  makeRoom()
  await ended
  await platform.until(name, settledAt(200, 2))
  assert.equal(await next(), '201')
  await platform.until(name, (d) => d.instances[0]?.state === 'running' && settledAt(201, 2)(d))

  const roomForUp = fill(disk, 0)
  await platform.down()
  roomForUp()
  await platform.up()
  await platform.until(name, (d) => d.instances[0]?.state === 'running')
  assert.equal(await next(), '202')
  assert.equal((await letters()).length, 2)
}

const queues = `import { defineFunction, shuffle } from 'concord'
export default defineFunction({
  metadata: { name: 'queues', istreams: { lines: { grouping: shuffle, backPressure: 'enqueue' } } },
  processRecord() {},
})
`

test('a gateway that ends in order on a full disk has an account of all that it gives up', {
  timeout: 600_000,
}, async (t) => {
  const disk = mountDisk(t)
  if (disk !== undefined) await t.test('on a disk of its own', (t) => endOn(t, disk))
})

async function endOn(t: TestContext, disk: string): Promise<void> {
  const platform = await Platform.start(t)
  const lines = (records: number) =>
    Array.from({ length: records }, (_, i) => String(i).padEnd(200)).join('\n')
  await platform.deploy('queues', queues)
  await platform.json(['fn', 'scale', 'queues', '0'])
  await platform.until('queues', ({ state }) => state === 'stopped')
  await platform.json(['produce', 'lines'], lines(5_000))
  await platform.until('queues', ({ ledger: [row] }) => row!.spilled === row!.inFlight && row!.sent === 5_000)
  const makeRoom = fill(disk, 0)
  const { accepted } = await platform.json<{ accepted: number }>(['produce', 'lines'], lines(10_000))
  assert.equal(accepted, 10_000)
  const before = pidOf(platform, 'gateway')
  process.kill(before, 'SIGTERM')
  const isSaid = () => /gives up \d+ accepted records/.test(platform.said)
  while (!isSaid() && existsSync(`/proc/${before}`)) await sleep(50)
  makeRoom()
  await platform.untilUp(() => pidOf(platform, 'gateway') !== before)
  await platform.json(['fn', 'scale', 'queues', '1'])
  const { ledger } = await platform.until('queues', ({ ledger: [row] }) => row!.processed >= 5_000)
  const { sent, processed, dropped, unaccounted, inFlight } = ledger[0]!
  assert.equal(sent, 15_000)
  assert.equal(processed + (dropped['undelivered'] ?? 0) + unaccounted + inFlight, 15_000)
  assert.ok(isSaid())
}
