/**
 * TestMaster: test equipment: a master on a real socket, and raw requests to it.
 * @module
 */
import { request as httpRequest } from 'node:http'
import type { TestContext } from 'node:test'
import { ManualClock } from '../../clock.ts'
import { type MinimesosOptions, startMinimesos } from '../index.ts'
import { defer, type OfferSeen, TestFramework, tempDir } from '../test-framework.ts'

/** A master with an agent of 4 cpus, 4096 MiB and 8192 MiB of disk, whose time moves by hand. */
export async function start(t: TestContext, options: Partial<MinimesosOptions> = {}) {
  const clock = new ManualClock(1_700_000_000_000)
  const stateDir = tempDir(t)
  const sizes = { cpus: 4, memMib: 4096, diskMib: 8192 }
  const minimesos = await startMinimesos({ port: 0, stateDir, clock, ...sizes, ...options })
  let stopped: Promise<void> | undefined
  const stop = () => (stopped ??= minimesos.close())
  defer(t, stop)
  const subscribe = (more: Partial<Parameters<typeof TestFramework.subscribe>[1]> = {}) =>
    TestFramework.subscribe(t, { url: minimesos.url, ...more })
  return { url: minimesos.url, fleet: minimesos.fleet, clock, stateDir, subscribe, stop }
}

/** True if no event of this type came before the master's answer to a question asked now. */
export async function without(framework: TestFramework, type: 'OFFERS' | 'UPDATE'): Promise<boolean> {
  const id = `barrier-${framework.events.length}`
  await framework.call('RECONCILE', { reconcile: { tasks: [{ task_id: { value: id } }] } })
  const from = framework.seen
  await framework.update(id)
  return framework.events.slice(from, framework.seen - 1).every((event) => event.type !== type)
}

export const decline = (framework: TestFramework, offer: OfferSeen, refuseSeconds?: number) =>
  framework.call('DECLINE', {
    decline: {
      offer_ids: [offer.id],
      ...(refuseSeconds === undefined ? {} : { filters: { refuse_seconds: refuseSeconds } }),
    },
  })

interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** By `node:http`, which adds no header of its own to the request. */
export function send(
  url: string,
  method: string,
  headers: Readonly<Record<string, string>>,
  body?: string | Buffer,
  chunked?: true,
): Promise<Answered> {
  return new Promise((done, fail) => {
    const length = body === undefined || chunked ? {} : { 'content-length': Buffer.byteLength(body) }
    const out = httpRequest(url, { method, headers: { ...headers, ...length } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        done({
          status: response.statusCode!,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      )
    })
    out.on('error', fail)
    if (chunked) out.write(body)
    out.end(chunked ? undefined : body)
  })
}

export function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: unknown,
): Promise<Answered> {
  return send(
    `${url}/api/v1/scheduler`,
    'POST',
    { 'content-type': 'application/json', ...headers },
    JSON.stringify(body),
  )
}
