import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { openBundles } from '../bundles/index.ts'
import { connectBus } from '../bus/index.ts'
import { ManualClock } from '../clock.ts'
import {
  endNatsServer,
  type NatsServer,
  type NatsUsers,
  natsRoles,
  startNatsServer,
  storeFolder,
} from '../nats/index.ts'
import { JetStreamWatch } from './jetstream-watch.ts'

const users = Object.fromEntries(
  natsRoles.map((role) => [role, { user: role, password: role }]),
) as unknown as NatsUsers

interface Bench {
  readonly watch: JetStreamWatch
  readonly logged: string[]
  readonly server: () => NatsServer
  readonly restarts: () => number
}

/** A server that stores in `dir`, and a watch over it that looks when the test says so: its clock stands still. */
async function withWatch(dir: string, use: (bench: Bench) => Promise<void>): Promise<void> {
  let server = await startNatsServer({ dir, port: 0, users })
  let restarts = 0
  const logged: string[] = []
  const watch = new JetStreamWatch({
    connection: { url: server.url, ...users.gateway },
    stores: [storeFolder(dir)],
    async restart() {
      restarts++
      await server.stop('SIGKILL')
      server = await startNatsServer({ dir, port: server.port, users })
    },
    clock: new ManualClock(),
    log: pino({}, { write: (line: string) => void logged.push((JSON.parse(line) as { msg: string }).msg) }),
  })
  try {
    await use({ watch, logged, server: () => server, restarts: () => restarts })
  } finally {
    watch.close()
    await endNatsServer(dir)
  }
}

async function temporary(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'concord-watch-'))
  await use(dir).finally(() => rm(dir, { recursive: true }))
}

test('JetStreamWatch restarts neither a healthy server nor a frozen one (J1)', async () => {
  await temporary((dir) =>
    withWatch(dir, async ({ watch, server, restarts }) => {
      await watch.look()
      await watch.look()
      process.kill(server().pid, 'SIGSTOP')
      await watch.look()
      await watch.look()
      process.kill(server().pid, 'SIGCONT')
      assert.equal(restarts(), 0)
    }),
  )
})

for (const own of ['the whole folder', 'the store of the server alone'])
  test(`JetStreamWatch restarts a server whose JetStream hangs after a full disk, with ${own} on it, once there is room (J2)`, async (t) => {
    await temporary(async (dir) => {
      const disk = own === 'the whole folder' ? dir : storeFolder(dir)
      await mkdir(disk, { recursive: true })
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', disk], { stdio: 'ignore' })
      } catch {
        return t.diagnostic('no disk could be mounted here: not tried')
      }
      try {
        await withWatch(dir, async ({ watch, server, restarts, logged }) => {
          const nc = await connectBus({ url: server().url, name: 'test', ...users.gateway })
          try {
            const bundles = await openBundles(nc, 1_000)
            const kept = await bundles.put(Buffer.from('kept'))
            await writeFile(join(disk, 'filler'), Buffer.alloc(64 * 1024 * 1024)).catch(() => {})
            await assert.rejects(bundles.put(Buffer.alloc(500_000)), { code: 'ERR_BUNDLE_STORE' })
            await watch.look()
            await watch.look()
            assert.deepEqual([restarts(), logged], [0, ['JetStream hangs, its disk is full: make room']])

            await rm(join(disk, 'filler'))
            await watch.look()
            assert.equal(restarts(), 1)
            const later = await openBundles(nc)
            assert.equal(await later.has(kept), true)
            await later.put(Buffer.alloc(500_000))
          } finally {
            await nc.close()
          }
        })
      } finally {
        execFileSync('umount', ['-l', disk])
      }
    })
  })
