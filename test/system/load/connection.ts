/**
 * How the load reaches the platform's NATS: with the gateway's rights, since it is a producer and an owner.
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectWire, type NatsWire } from '../../../infra/bus/index.ts'

export const namespace = 'default'

export async function connectLoad(home: string, url: string, name: string): Promise<NatsWire> {
  const { nats } = JSON.parse(readFileSync(join(home, 'credentials.json'), 'utf8')) as {
    nats: { gateway: { user: string; password: string } }
  }
  return await connectWire({ url, name, ...nats.gateway })
}
