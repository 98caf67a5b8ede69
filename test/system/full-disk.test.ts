/**
 * A disk that is full, under everything that the platform writes: records go on, what ends meanwhile is started again when there
 * is room, and nothing is lost (docs/design/0003-processes-and-store.md).
 * @module
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { homeOf } from '../../infra/local/home.ts'
import { readUpFile } from '../../infra/local/up-file.ts'
import { isAlive } from '../../infra/process.ts'
import type { DeadLetterSummary, FunctionDetail } from '../../sdk/api/index.ts'
import { name, source } from './counts.ts'
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
