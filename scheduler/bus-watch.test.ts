import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectBus } from '../infra/bus/index.ts'
import { startNatsServer } from '../infra/nats/index.ts'
import { BusWatch } from './bus-watch.ts'
import { until } from './testing/until.ts'

test('BusWatch knows that NATS went away before anybody listened, and that it returned (BW1)', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-bus-watch-'))
  let server = await startNatsServer({ dir, port: 0 })
  const nc = await connectBus({ name: 'test', url: server.url })
  t.after(async () => {
    await nc.close()
    await server.stop()
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  const bus = new BusWatch(nc)
  const gone = nc.status()[Symbol.asyncIterator]()
  await server.stop()
  while ((await gone.next()).value?.type !== 'disconnect');

  const told: boolean[] = []
  bus.listen((isUp) => told.push(isUp))
  assert.deepEqual(told, [false])
  server = await startNatsServer({ dir, port: server.port })
  await until('it is told', () => told.length === 2)
  assert.deepEqual(told, [false, true])
})
