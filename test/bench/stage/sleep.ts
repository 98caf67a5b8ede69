/**
 * Sleep: a function without an instance, with state, and how long its first record takes to its output as a follower reads it, by
 * each way that a record comes.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { headers } from '@nats-io/transport-node'
import type { NatsConnection } from '../../../infra/bus/index.ts'
import type { ConcordClient } from '../../../sdk/client/index.ts'

/** Deploys a function of its source, which scales by itself. */
export type Deploy = (name: string, source: string, scale: object) => Promise<void>

/** Milliseconds. */
export interface FirstOutput {
  readonly http: number
  /** From a function that works, which was given it by HTTP. */
  readonly channel: number
  /** One message of a client that knows nothing of frames. */
  readonly nats: number
}

const stateRecords = 10_000
const waitMs = 120_000

/** @param warm Whether a runner is kept for it. */
export async function measureSleep(
  client: ConcordClient,
  nc: NatsConnection,
  name: string,
  warm: boolean,
  deploy: Deploy,
): Promise<FirstOutput> {
  const [input, output, passed] = [`${name}-in`, `${name}-out`, `${name}-passed`]
  const idle = { afterMs: 2000, warm }
  await deploy(name, sleeper(name, input, output), {
    min: 0,
    max: 2,
    idle,
    down: { afterMs: 1000, coolDownMs: 0 },
  })
  await deploy(`${name}-passes`, passer(`${name}-passes`, passed, input), { min: 1, max: 1 })
  const records = Array.from({ length: stateRecords }, (_, i) => ({ key: `key ${i}`, value: '' }))
  await client.produce(input, records)
  const stop = AbortSignal.timeout(waitMs)
  const lines = client.follow(output, { hold: true, signal: stop })
  await lines.next() // it follows
  const first = async (send: () => unknown): Promise<number> => {
    await asleep(client, name, stop)
    const fromMs = performance.now()
    await send()
    await lines.next()
    return performance.now() - fromMs
  }
  const key = headers()
  key.set('Concord-Key', 'k')
  const http = await first(() => client.produce(input, [{ key: 'k', value: 'first' }]))
  const channel = await first(() => client.produce(passed, [{ key: 'k', value: 'first' }]))
  const nats = await first(() => nc.publish(`concord.default.in.${input}`, 'first', { headers: key }))
  await lines.return(undefined)
  await client.remove(`${name}-passes`, { drop: true })
  await client.remove(name, { drop: true })
  return { http, channel, nats }
}

/** Nobody is there, and for a second nothing was. */
async function asleep(client: ConcordClient, name: string, stop: AbortSignal): Promise<void> {
  for (;;) {
    const { instancesWanted, instances } = await client.inspect(name)
    if (instancesWanted === 0 && instances.length === 0) break
    stop.throwIfAborted()
    await sleep(100)
  }
  await sleep(1_000)
}

function sleeper(name: string, input: string, output: string): string {
  return `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${input}': groupBy }, ostreams: ['${output}'] },
  processRecord(ctx, record) {
    if (record.key.length > 1) ctx.setState(record.key, new Uint8Array(1000))
    else ctx.produceRecord('${output}', record.key, record.value)
  },
})
`
}

function passer(name: string, input: string, output: string): string {
  return `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${input}': groupBy }, ostreams: ['${output}'] },
  processRecord(ctx, record) {
    ctx.produceRecord('${output}', record.key, record.value)
  },
})
`
}
