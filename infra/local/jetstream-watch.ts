/**
 * JetStream watch: nats-server 2.9 switches JetStream off when its disk is full, and leaves it so until it is restarted.
 * This sees a server that answers while its JetStream does not, and once there is room has it restarted; channels
 * lose nothing by that.
 *
 * Invariants:
 *  J1. A server that does not answer at all is left alone: it is busy, paused or restarting.
 *  J2. Nothing is restarted while the disk has no room: it would be switched off again.
 * @module
 */
import { statfs } from 'node:fs/promises'
import { connectBus, type NatsConnection } from '../bus/index.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'

export interface JetStreamWatchOptions {
  readonly connection: { readonly url: string; readonly user: string; readonly password: string }
  /** Where the server stores. */
  readonly dir: string
  readonly restart: () => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

const intervalMs = 5_000
const answerTimeoutMs = 2_000
/** Looks in a row that find it switched off: one might hit a server that is just recovering its streams. */
const looksNeeded = 2
const roomBytesMin = 16 * 1024 * 1024

/** @returns What ends the watch. */
export async function watchJetStream(options: JetStreamWatchOptions): Promise<() => Promise<void>> {
  const { connection, dir, restart, clock, log } = options
  const nc = await connectBus({ ...connection, name: 'concord up' })
  let looksOff = 0
  let cancel = clock.after(intervalMs, look)

  function look(): void {
    void check().finally(() => {
      if (!nc.isClosed()) cancel = clock.after(intervalMs, look)
    })
  }

  async function check(): Promise<void> {
    looksOff = (await isSwitchedOff(nc)) ? looksOff + 1 : 0
    if (looksOff < looksNeeded) return
    const { bavail, bsize } = await statfs(dir)
    if (bavail * bsize < roomBytesMin)
      return log.error({ dir }, 'JetStream is off, its disk is full: make room') // J2
    log.warn({ dir }, 'JetStream is off and there is room: nats-server is restarted')
    looksOff = 0
    await restart()
  }

  return async () => {
    cancel()
    await nc.close()
  }
}

async function isSwitchedOff(nc: NatsConnection): Promise<boolean> {
  const answered = await nc.rtt().then(
    (rttMs) => rttMs < answerTimeoutMs,
    () => false,
  )
  if (!answered) return false // J1
  return nc.request('$JS.API.INFO', undefined, { timeout: answerTimeoutMs }).then(
    (answer) => (answer.json() as { error?: unknown }).error !== undefined,
    () => !nc.isClosed(),
  )
}
