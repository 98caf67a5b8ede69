import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from '@nats-io/transport-node'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { frameOf, parseId64, stampHeader } from '../../sdk/wire/frame.ts'
import { Platform, runCli } from './platform.ts'

const echo = `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'echo', istreams: { words: groupBy }, ostreams: ['heard'] },
  processRecord(ctx, record) { ctx.produceRecord('heard', record.key, record.value) },
})
`

test('each bad input has a clear error, and nothing is stored or lost', { timeout: 400_000 }, async (t) => {
  const platform = await Platform.start(t)
  const names = async (): Promise<string[]> => (await platform.client.functions()).map((f) => f.name)
  const deploy = (text: string): Promise<{ code: number | null; stderr: string }> => {
    const file = join(platform.home, 'bad.ts')
    writeFileSync(file, text)
    return platform.cli(['fn', 'deploy', file])
  }
  const { token } = JSON.parse(readFileSync(join(platform.home, 'client.json'), 'utf8')) as { token: string }
  const post = (body: NonNullable<RequestInit['body']>, duplex?: 'half'): Promise<Response> =>
    fetch(`${platform.url}/v1/functions?file=bad.ts`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body,
      ...(duplex === undefined ? {} : { duplex }),
    } as RequestInit)

  await t.test('a source with a syntax error', async () => {
    const answer = await deploy('export default {\n  metadata: {\n')
    assert.equal(answer.code, 6, answer.stderr)
    assert.match(answer.stderr, /bad\.ts:3:/)
    const response = await post('export default {\n  metadata: {\n')
    assert.equal(response.status, 422)
    const problem = (await response.json()) as { location: { line: number; column: number } }
    assert.equal(problem.location.line, 3)
  })

  await t.test('a source without a default export, and one that names a stream badly', async () => {
    assert.equal((await deploy('export const nothing = 1\n')).code, 6)
    const answer = await deploy(echo.replace("['heard']", "['Heard It']"))
    assert.equal(answer.code, 6)
    assert.match(answer.stderr, /Heard It|lower-case/)
  })

  await t.test('an upload of 100 MB, with and without its length said', async () => {
    const whole = await post(new Uint8Array(100_000_000).fill(0x20)).catch(() => undefined)
    if (whole !== undefined) assert.equal(whole.status, 413)
    let left = 100
    const chunks = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (left-- === 0) controller.close()
        else controller.enqueue(new Uint8Array(1_000_000).fill(0x20))
      },
    })
    const chunked = await post(chunks, 'half').catch(() => undefined) // the gateway may cut a body that goes on
    if (chunked !== undefined) assert.equal(chunked.status, 413)
    assert.equal((await fetch(`${platform.url}/healthz`)).status, 200)
  })

  await t.test('an unknown stream, and an unknown function', async () => {
    const answer = await platform.cli(['produce', 'nowhere'], 'x\n')
    assert.equal(answer.code, 4, answer.stderr)
    assert.match(answer.stderr, /nowhere/)
    assert.equal((await platform.cli(['fn', 'inspect', 'nobody'])).code, 4)
  })

  await t.test('a wrong token', async () => {
    const answer = await runCli(['fn', 'ls', '--url', platform.url], {
      ...platform.env,
      CONCORD_TOKEN: 'concord_wrong',
    })
    assert.equal(answer.code, 3, answer.stderr)
    assert.equal(answer.stderr.trim().split('\n').length, 1)
  })

  assert.deepEqual(await names(), [])

  await t.test('garbage and truncated frames on the bus', async () => {
    await platform.deploy('echo', echo)
    const { gateway } = (
      JSON.parse(readFileSync(join(platform.home, 'credentials.json'), 'utf8')) as {
        nats: { gateway: { user: string; password: string } }
      }
    ).nats
    const nc = await connect({ servers: platform.natsUrl, user: gateway.user, pass: gateway.password })
    t.after(() => nc.close())
    const frame = frameOf([{ key: new Uint8Array(3), value: new Uint8Array(50), timeMs: 1 }])
    const id = parseId64('00000000000000ff')
    stampHeader(frame, { flags: 0, partition: 2, producer: id, origin: id, epoch: 1, count: 1, sequence: 0 })
    for (let length = 0; length < frame.length; length++)
      nc.publish('concord.default.s.words.2', frame.subarray(0, length))
    nc.publish('concord.default.s.words.3', frame) // whole, on a partition that is not its own
    nc.publish('concord.default.c.claim.echo', 'no claim')
    await nc.flush()
    await platform.json(['produce', 'words', '--key', 'k'], 'one\ntwo\n')
    const detail = await platform.until('echo', (d) => d.ledger[0]!.processed === 2)
    assert.equal(detail.instances[0]!.restarts, 0)
    for await (const message of nc.subscribe('concord.default.c.hb.*')) {
      const beat = message.json<Heartbeat>()
      const refused = beat.instances.find((report) => report.function === 'echo')?.inputs[0]?.refused
      if (refused?.['misrouted'] === undefined) continue
      assert.deepEqual({ ...refused }, { malformed: frame.length, misrouted: 1 })
      break
    }
  })
})

test('concord up says in one line what is wrong with a port or with nats-server, and leaves nothing', {
  timeout: 400_000,
}, async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'concord-bad-up-'))
  t.after(() => rmSync(home, { recursive: true, force: true }))
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => taken.once('listening', resolve))
  t.after(() => taken.close())
  const { port } = taken.address() as { port: number }
  const env = {
    CONCORD_HOME: home,
    CONCORD_NATS_PORT: '0',
    CONCORD_MESOS_PORT: '0',
    CONCORD_GATEWAY_PORT: String(port),
  }
  const busy = await runCli(['up', '--detach'], env)
  assert.notEqual(busy.code, 0)
  assert.match(busy.stderr, new RegExp(`${port}`))
  const none = await runCli(['up', '--detach'], {
    ...env,
    CONCORD_GATEWAY_PORT: '0',
    CONCORD_NATS_SERVER: '/nowhere/nats-server',
  })
  assert.notEqual(none.code, 0)
  assert.match(none.stderr, /nats-server/)
})
