import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startNatsServer } from '../../nats/index.ts'
import { connectBus } from './connect.ts'
import { listen } from './listen.ts'

test('listen passes on an error of a receiver, and the connection stays readable (LI1)', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-listen-'))
  const server = await startNatsServer({ dir, port: 0 })
  const nc = await connectBus({ url: server.url, name: 'test' })
  t.after(async () => {
    await nc.close()
    await server.stop()
    await rm(dir, { recursive: true })
  })
  const broken: unknown[] = []
  const heard: string[] = []
  const receive = (text: string): void => {
    heard.push(text)
    if (text === 'bad') throw new Error('a bug')
  }
  const stop = listen(nc, 'news', (message) => receive(message.string()), {
    onBroken: (error) => broken.push((error as Error).message),
  })
  for (const text of ['bad', 'good']) nc.publish('news', text)
  await nc.flush()
  assert.deepEqual([heard, broken], [['bad', 'good'], ['a bug']])
  stop()
  nc.publish('news', 'unheard')
  await nc.flush()
  assert.equal(heard.length, 2)
})
