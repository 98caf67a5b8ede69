import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseEnding } from './process/ending.ts'

/** A server that takes connections and says nothing: a runner does not get past connecting to it. */
async function silentServer(t: TestContext) {
  const connected = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    connected.resolve()
    socket.on('error', () => undefined) // the runner ends with SIGKILL
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return { url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`, connected: connected.promise }
}

function startRunner(t: TestContext, natsUrl: string) {
  const script = fileURLToPath(new URL('./host-main.ts', import.meta.url))
  const child = spawn(process.execPath, ['--no-node-snapshot', script], {
    stdio: ['pipe', 'inherit', 'inherit', 'pipe'],
    env: {
      ...process.env,
      CONCORD_TASK_ID: 'task',
      CONCORD_NAMESPACE: 'test',
      CONCORD_FUNCTION: 'fn',
      CONCORD_NATS_URL: natsUrl,
      CONCORD_MEM_MIB: '256',
    },
  })
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdio[3] as Readable })
  const ending = new Promise<string>((resolve) => {
    let last = ''
    lines.on('line', (line) => {
      last = line
    })
    lines.on('close', () => resolve(last))
  })
  return { child, lines, ending }
}

for (const when of ['has just begun', 'connects']) {
  test(`host-main ends drained by a SIGTERM that comes while it ${when} (M1)`, async (t) => {
    const { url, connected } = await silentServer(t)
    const { child, lines, ending } = startRunner(t, url)
    await (when === 'connects' ? connected : once(lines, 'line')) // it says that it loads
    child.kill('SIGTERM')
    assert.deepEqual(parseEnding(await ending), {
      code: 0,
      reason: 'drained',
      message: 'stopped by SIGTERM',
    })
  })
}
