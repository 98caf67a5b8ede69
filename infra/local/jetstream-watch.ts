/**
 * JetStreamWatch: restarts a nats-server whose JetStream hangs. In nats-server 2.9 a full disk hangs JetStream for
 * good, and with it every connection that uses it. This watch detects a server that answers while its JetStream does
 * not, and restarts it once the disk has room; channels lose nothing by that.
 *
 * Invariants:
 *   J1. A server that does not answer at all is left alone: it is busy, paused or restarting.
 *   J2. Nothing is restarted while the disk is full: it would hang again.
 * @module
 */
import { statfs } from 'node:fs/promises'
import { connect } from '@nats-io/transport-node'
import { inboxOf } from '../bus/index.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'

export interface JetStreamWatchOptions {
  readonly connection: { readonly url: string; readonly user: string; readonly password: string }
  /** Where each server stores: which may be volumes of their own. */
  readonly stores: readonly string[]
  readonly restart: () => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

const intervalMs = 5_000
const answerTimeoutMs = 2_000
/** Looks in a row that must find it hung: once may be a server that is just recovering its streams. */
const looksNeeded = 2
/** More for several servers: they are silent for some ten seconds while they elect another leader. */
const looksNeededOfSeveral = 6
const roomBytesMin = 16 * 1024 * 1024

export class JetStreamWatch {
  readonly #options: JetStreamWatchOptions
  #cancel: () => void = () => {}
  #closed = false
  #looksHung = 0

  constructor(options: JetStreamWatchOptions) {
    this.#options = options
    this.#lookLater()
  }

  /** Looks once, and acts. */
  async look(): Promise<void> {
    const { stores, restart, log } = this.#options
    const needed = stores.length === 1 ? looksNeeded : looksNeededOfSeveral
    this.#looksHung = (await this.#isHung()) ? this.#looksHung + 1 : 0
    if (this.#looksHung < needed || this.#closed) return
    for (const dir of stores) {
      const { bavail, bsize } = await statfs(dir)
      if (bavail * bsize < roomBytesMin)
        return log.error({ dir }, 'JetStream hangs, its disk is full: make room') // J2
    }
    log.warn({}, 'JetStream hangs and there is room: nats-server is restarted')
    this.#looksHung = 0
    await restart()
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  #lookLater(): void {
    this.#cancel = this.#options.clock.after(intervalMs, async () => {
      await this.look().catch((error: Error) =>
        this.#options.log.error({}, `Cannot watch JetStream: ${error.message}`),
      )
      if (!this.#closed) this.#lookLater()
    })
  }

  /** Asks over a new connection each time, since it may hang with JetStream. */
  async #isHung(): Promise<boolean> {
    const { url, user, password } = this.#options.connection
    const options = {
      servers: url,
      user,
      pass: password,
      inboxPrefix: inboxOf(user),
      name: 'concord up',
      reconnect: false,
      timeout: answerTimeoutMs,
    }
    const nc = await connect(options).catch(() => undefined)
    if (nc === undefined) return false // J1: not even a greeting
    try {
      return await nc.request('$JS.API.INFO', undefined, { timeout: answerTimeoutMs }).then(
        () => false,
        () => !nc.isClosed(),
      )
    } finally {
      await nc.close()
    }
  }
}
