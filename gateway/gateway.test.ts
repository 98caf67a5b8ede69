import assert from 'node:assert/strict'
import { test } from 'node:test'
import { subjects } from '../infra/bus/index.ts'
import type { Heartbeat } from '../infra/control/messages.ts'
import { paths, type SenderDocument, type Store } from '../infra/store/index.ts'
import { namespace, startPlatform } from './testing/platform.ts'

test('a gateway that fails to start ends what it had begun, in order: its account is over, and its last heartbeat says so', async (t) => {
  const platform = await startPlatform()
  t.after(() => platform.close())
  const { store, gateway, wire } = platform
  const last = Promise.withResolvers<Heartbeat>()
  const stop = wire.subscribe(subjects.heartbeatSubject(namespace, '*'), (bytes) => {
    const beat = JSON.parse(Buffer.from(bytes).toString()) as Heartbeat
    if (beat.id !== gateway.id && beat.state === 'stopped') last.resolve(beat)
  })
  t.after(stop)
  const unreadable = new Proxy(store, {
    get(target, name) {
      if (name === 'list') return () => Promise.reject(new Error('it cannot be listed'))
      const value = Reflect.get(target, name) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  }) as Store
  await assert.rejects(platform.another({ store: unreadable }), /it cannot be listed/)
  const { id } = await last.promise
  assert.equal((await store.get<SenderDocument>(paths.sender(namespace, id)))?.value.state, 'over')
})
