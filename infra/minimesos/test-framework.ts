/**
 * Test equipment: a framework that speaks to a master in raw HTTP, and what tests of minimesos share.
 * @module
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent as HttpAgent, request } from 'undici'
import { endTasks } from './end-tasks.ts'
import type { TaskStatus } from './wire/index.ts'

const deadlineMs = 60_000

export interface OfferSeen {
  readonly id: { readonly value: string }
  readonly agent_id: { readonly value: string }
  readonly resources: readonly {
    readonly name: string
    readonly scalar?: { readonly value: number }
    readonly role?: string
    readonly allocation_info: { readonly role: string }
  }[]
  readonly hostname: string
  readonly attributes?: readonly unknown[]
}

/** One event of a stream; only the parts that tests look at are typed. */
export interface EventSeen {
  readonly type: string
  readonly atMs: number
  readonly subscribed?: { readonly framework_id: { readonly value: string } }
  readonly offers?: { readonly offers: readonly OfferSeen[] }
  readonly update?: { readonly status: TaskStatus }
  readonly rescind?: { readonly offer_id: { readonly value: string } }
  readonly error?: { readonly message: string }
  readonly update_operation_status?: { readonly status: Readonly<Record<string, unknown>> }
}

export const frameworkInfo = {
  user: 'root',
  name: 'test',
  roles: ['web'],
  checkpoint: true,
  failover_timeout: 60,
  capabilities: ['MULTI_ROLE', 'RESERVATION_REFINEMENT', 'TASK_KILLING_STATE', 'PARTITION_AWARE'].map(
    (type) => ({ type }),
  ),
}

export interface SubscribeOptions {
  readonly url: string
  readonly info?: Readonly<Record<string, unknown>>
  readonly suppressedRoles?: readonly string[]
  /** Subscribes anew with this id. */
  readonly id?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A subscribed framework: its events, read as they come, and its calls. */
export class TestFramework {
  readonly events: EventSeen[] = []
  readonly statusCode: number
  readonly streamId: string
  /** Of the events, how many `next` has gone past. */
  seen = 0
  ended = false
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #http: HttpAgent
  #wake: () => void = () => {}

  private constructor(
    url: string,
    http: HttpAgent,
    headers: Readonly<Record<string, string>>,
    response: Awaited<ReturnType<typeof request>>,
  ) {
    this.#url = url
    this.#http = http
    this.#headers = headers
    this.statusCode = response.statusCode
    this.streamId = String(response.headers['mesos-stream-id'])
    void this.#read(response.body)
  }

  static async subscribe(t: TestContext, options: SubscribeOptions): Promise<TestFramework> {
    const id = options.id === undefined ? {} : { id: { value: options.id } }
    const http = new HttpAgent({ bodyTimeout: 0 })
    const headers = options.headers ?? {}
    const response = await request(`${options.url}/api/v1/scheduler`, {
      method: 'POST',
      dispatcher: http,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({
        type: 'SUBSCRIBE',
        subscribe: {
          framework_info: { ...frameworkInfo, ...options.info, ...id },
          suppressed_roles: options.suppressedRoles ?? [],
        },
        ...(options.id === undefined ? {} : { framework_id: { value: options.id } }),
      }),
    })
    const framework = new TestFramework(options.url, http, headers, response)
    defer(t, () => framework.disconnect())
    await framework.next('first event', () => true)
    framework.seen = 0
    return framework
  }

  get id(): string {
    const subscribed = this.events.find((event) => event.subscribed !== undefined)?.subscribed
    assert.ok(subscribed, 'not subscribed yet')
    return subscribed.framework_id.value
  }

  async call(
    type: string,
    parts: Readonly<Record<string, unknown>> = {},
  ): Promise<{ status: number; text: string }> {
    const response = await request(`${this.#url}/api/v1/scheduler`, {
      method: 'POST',
      dispatcher: this.#http,
      headers: { 'content-type': 'application/json', 'mesos-stream-id': this.streamId, ...this.#headers },
      body: JSON.stringify({ type, framework_id: { value: this.id }, ...parts }),
    })
    return { status: response.statusCode, text: await response.body.text() }
  }

  /** The next event for which `wanted` holds; those before it are passed by. */
  async next(what: string, wanted: (event: EventSeen) => boolean): Promise<EventSeen> {
    const expiry = AbortSignal.timeout(deadlineMs)
    for (;;) {
      while (this.seen < this.events.length) {
        const event = this.events[this.seen++]!
        if (wanted(event)) return event
      }
      const seen = JSON.stringify(this.events.slice(-5))
      assert.ok(
        !expiry.aborted && !this.ended,
        `no ${what}${this.ended ? ', and the stream ended' : ''}; last seen: ${seen}`,
      )
      await new Promise<void>((wake) => {
        this.#wake = wake
        expiry.addEventListener('abort', () => wake(), { once: true })
      })
    }
  }

  async offer(): Promise<OfferSeen> {
    const event = await this.next('offer', (e) => e.type === 'OFFERS')
    return event.offers!.offers[0]!
  }

  /** The next update of a task, acknowledged unless `ack` is false. */
  async update(taskId: string, state?: string, ack = true): Promise<TaskStatus> {
    const event = await this.next(
      `update of ${taskId} ${state ?? ''}`,
      (e) =>
        e.update?.status.task_id.value === taskId && (state === undefined || e.update.status.state === state),
    )
    const { status } = event.update!
    if (ack && status.uuid !== undefined) await this.acknowledge(status)
    return status
  }

  /** The update of this state, all before it acknowledged on the way. */
  async updatesUntil(taskId: string, state: string, ack = true): Promise<TaskStatus[]> {
    const all: TaskStatus[] = []
    for (;;) {
      const status = await this.update(taskId, undefined, false)
      all.push(status)
      if (status.uuid !== undefined && (ack || status.state !== state)) await this.acknowledge(status)
      if (status.state === state) return all
    }
  }

  acknowledge(status: TaskStatus): Promise<{ status: number; text: string }> {
    return this.call('ACKNOWLEDGE', {
      acknowledge: { agent_id: status.agent_id, task_id: status.task_id, uuid: status.uuid },
    })
  }

  /** Accepts an offer with these tasks; `overrides` replaces parts of the ACCEPT. */
  launch(offer: OfferSeen, tasks: readonly unknown[], overrides: Readonly<Record<string, unknown>> = {}) {
    return this.call('ACCEPT', {
      accept: {
        offer_ids: [offer.id],
        operations: [{ type: 'LAUNCH', launch: { task_infos: tasks } }],
        filters: { refuse_seconds: 0 },
        ...overrides,
      },
    })
  }

  /** Resolves when the server has ended the stream. */
  async end(): Promise<void> {
    await this.next('end of stream', () => this.ended).catch((error) => {
      if (!this.ended) throw error
    })
  }

  /** Drops the connection, as a framework that dies. */
  async disconnect(): Promise<void> {
    await this.#http.destroy()
  }

  async #read(body: AsyncIterable<Buffer>): Promise<void> {
    let buffer = Buffer.alloc(0)
    try {
      for await (const chunk of body) {
        buffer = Buffer.concat([buffer, chunk])
        for (let line = buffer.indexOf('\n'); line >= 0; line = buffer.indexOf('\n')) {
          const end = line + 1 + Number(buffer.subarray(0, line))
          if (buffer.length < end) break
          const event = JSON.parse(buffer.toString('utf8', line + 1, end)) as EventSeen
          this.events.push({ ...event, atMs: performance.now() })
          buffer = buffer.subarray(end)
          this.#wake()
        }
      }
    } catch {
      // The other end is gone, or we have dropped it.
    }
    this.ended = true
    this.#wake()
  }
}

/** A command task of 0.1 cpus and 32 MiB. */
export function task(
  id: string,
  offer: OfferSeen,
  value: string,
  more: Readonly<Record<string, unknown>> = {},
) {
  return {
    name: id,
    task_id: { value: id },
    agent_id: offer.agent_id,
    resources: scalars({ cpus: 0.1, mem: 32 }),
    command: { shell: true, value },
    ...more,
  }
}

export const scalars = (amounts: Readonly<Record<string, number>>): unknown[] =>
  Object.entries(amounts).map(([name, value]) => ({ name, type: 'SCALAR', scalar: { value } }))

export function amount(offer: OfferSeen, name: string): number {
  return offer.resources.find((r) => r.name === name)?.scalar?.value ?? 0
}

const deferred = new WeakMap<TestContext, (() => unknown)[]>()

/** Runs after the test, the last first: Node runs its own `after` hooks the first first. */
export function defer(t: TestContext, run: () => unknown): void {
  const stack = deferred.get(t) ?? []
  stack.push(run)
  if (stack.length > 1) return
  deferred.set(t, stack)
  t.after(async () => {
    for (const undo of stack.toReversed()) await undo()
  })
}

/** A folder of its own; after the test the tasks there end and it is removed. */
export function tempDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'minimesos-test-'))
  defer(t, async () => {
    while ((await endTasks(dir, 0)) > 0);
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  return dir
}

export async function eventually(what: string, condition: () => boolean): Promise<void> {
  for (const endMs = performance.now() + deadlineMs; !condition(); await sleep(5)) {
    assert.ok(performance.now() < endMs, `never: ${what}`)
  }
}
