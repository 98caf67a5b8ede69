/**
 * Streams: creates and updates JetStream streams, and decides how many servers keep a copy. All streams go through
 * here.
 *
 *   ST1. `auto` is three copies if three servers of a cluster can keep them, else one. JetStream itself decides: it
 *        is asked for three.
 *   ST2. A stream never gets fewer copies than it has, unless a number was set.
 *   ST3. An existing stream is not recreated, and loses nothing.
 * Design: docs/design/0017-nats-cluster.md
 * @module
 */
import { type JetStreamManager, jetstream, type StreamConfig, type StreamInfo } from '@nats-io/jetstream'
import type { NatsConnection } from './bus/wire/connect.ts'
import { apiCode, apiCodes, requestTimeoutMs } from './jetstream.ts'

/** The setting `nats.replicas`. */
export type Replicas = number | 'auto'

export type StreamSettings = Partial<StreamConfig> & { readonly name: string }

const automatic = 3

/**
 * Creates a stream, or updates its settings. Only a gateway may.
 * @returns Whether as many servers as wanted keep it; false: one of them is away, so try again later.
 */
export async function ensureStream(
  nc: NatsConnection,
  settings: StreamSettings,
  replicas: Replicas = 'auto',
): Promise<boolean> {
  const manager = await managerOf(nc)
  const found = await findStream(manager, settings.name)
  const attempt = (num_replicas: number) =>
    found === undefined
      ? manager.streams.add({ ...settings, num_replicas })
      : manager.streams.update(settings.name, { ...settings, num_replicas })
  const least = found?.config.num_replicas ?? 1
  const isAlone = nc.info?.cluster === undefined
  const wanted = replicas === 'auto' ? Math.max(isAlone ? 1 : automatic, least) : replicas
  if (isAlone && wanted > 1) throw tooFewError(settings.name, wanted)
  try {
    await attempt(wanted)
    return true
  } catch (error) {
    if (apiCode(error) !== apiCodes.noPeers) throw error
    if (replicas !== 'auto') throw tooFewError(settings.name, wanted, error)
    await attempt(least)
    return false
  }
}

/** Makes a stream where there is none; one that is there stays as it is. */
export async function makeStream(nc: NatsConnection, settings: StreamSettings): Promise<void> {
  if ((await findStream(await managerOf(nc), settings.name)) === undefined) await ensureStream(nc, settings)
}

async function findStream(manager: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(name)
  } catch (error) {
    if (apiCode(error) !== apiCodes.noStream) throw error
    return undefined
  }
}

function tooFewError(name: string, copies: number, cause?: unknown): Error {
  const text = `Cannot keep ${copies} copies of ${name}: there are not so many servers of one cluster with JetStream. Start them, or set nats.replicas to less`
  return new Error(text, { cause })
}

/** Without the check of the API, which a runner may not ask for. */
function managerOf(nc: NatsConnection): Promise<JetStreamManager> {
  return jetstream(nc, { checkAPI: false, timeout: requestTimeoutMs }).jetstreamManager(false)
}
