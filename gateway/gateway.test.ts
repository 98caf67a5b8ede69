import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { subjects, type Wire } from '../infra/bus/index.ts'
import type { Heartbeat } from '../infra/control/messages/heartbeat.ts'
import { paths, type SenderDocument, type Store } from '../infra/store/index.ts'
import { namespace, type Platform, startPlatform } from './testing/platform.ts'

const heartbeats = subjects.heartbeatSubject(namespace, '*')

/** The same, but for one method. */
function but<T extends object>(whole: T, method: keyof T, instead: unknown): T {
  return new Proxy(whole, {
    get(target, name) {
      if (name === method) return instead
      const value = Reflect.get(target, name) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const unreadable = (store: Store): Store =>
  but(store, 'list', () => Promise.reject(new Error('it cannot be listed')))

/** Starts another gateway, which fails, and looks at what it leaves: its account, after its last heartbeat. */
async function assertFailsInOrder(t: TestContext, { store, gateway, wire, another }: Platform, its: Wire) {
  const last = Promise.withResolvers<Heartbeat>()
  const stop = wire.subscribe(heartbeats, (bytes) => {
    const beat = JSON.parse(Buffer.from(bytes).toString()) as Heartbeat
    if (beat.id !== gateway.id && beat.state === 'stopped') last.resolve(beat)
  })
  t.after(stop)
  await assert.rejects(another({ store: unreadable(store), wire: its }), /it cannot be listed/)
  const { id } = await last.promise
  assert.equal((await store.get<SenderDocument>(paths.sender(namespace, id)))?.value.state, 'over')
}

test('a gateway that fails to start ends what it had begun, in order: its account is over, and its last heartbeat says so', async (t) => {
  const platform = await startPlatform()
  t.after(() => platform.close())
  await assertFailsInOrder(t, platform, platform.wire)
})

test('a part of a gateway that cannot be ended does not keep the others from their end', async (t) => {
  const platform = await startPlatform()
  t.after(() => platform.close())
  const { wire, logged } = platform
  const subscribe: Wire['subscribe'] = (subject, receive) => {
    const stop = wire.subscribe(subject, receive)
    return () => {
      stop()
      if (subject === heartbeats) throw new Error('it listens on')
    }
  }
  await assertFailsInOrder(t, platform, but<Wire>(wire, 'subscribe', subscribe))
  assert.ok(logged.some((line) => line.includes('it listens on')))
})
