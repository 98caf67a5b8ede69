import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { problem, type Script } from '../../client/test-gateway.ts'
import { assertFails, bin, concord, gatewayOf, lastJson, plainNode, root } from '../test-cli.ts'

/** What `produce` asks at its end. */
const noStreams = { status: 200, json: { streams: [] } }

test('produce sends the lines of standard input once, and says once that it slows down', async (t) => {
  const bodies: string[] = []
  const { env, received } = await gatewayOf(t, ({ method, body }) => {
    if (method === 'GET') return noStreams
    if (received.length <= 2)
      return {
        ...problem(429, 'ERR_STREAM_FULL', 'full', { accepted: received.length }),
        headers: { 'retry-after': '0' },
      }
    bodies.push(body.toString())
    return { status: 200, json: { accepted: 2 } }
  })
  const ran = await concord(['produce', 'words', '--key', 'k', '--json'], { env, input: 'a\nb\nc\nd\ne\n' })
  assert.deepEqual(lastJson(ran), { accepted: 5, unknown: 0 })
  assert.equal(ran.stderr.match(/slowing down/g)?.length, 1)
  assert.deepEqual(bodies, ['\u0001\0\0\0\u0001\0\0\0kd\u0001\0\0\0\u0001\0\0\0ke'])
})

test('produce of nothing still says that there is no such stream', async (t) => {
  const { env } = await gatewayOf(t, ({ path }) =>
    path.includes('/words/')
      ? { status: 200, json: { accepted: 0 } }
      : problem(404, 'ERR_STREAM_UNKNOWN', "There is no stream 'wrods'"),
  )
  assertFails(await concord(['produce', 'wrods'], { env }), 4, /no stream 'wrods'/)
  const { code, stdout } = await concord(['produce', 'words'], { env })
  assert.deepEqual([code, stdout], [0, '0 records accepted.\n'])
})

test('produce --key-tab sends again what consume has printed', async (t) => {
  const records = [
    { key: 'anna', value: 'a\tb' },
    { key: '', value: 'no key' },
    { key: '', value: 'no\tkey' },
    { key: 'bert', value: '' },
  ]
  const sent: string[] = []
  const { env } = await gatewayOf(t, ({ method, path, body }, response) => {
    if (path === '/v1/streams') return noStreams
    if (method === 'POST') sent.push(body.toString())
    if (method === 'POST') return { status: 200, json: { accepted: records.length } }
    const lines = [{ event: 'ready', hold: false }, ...records]
    return void response.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  })
  const { stdout } = await concord(['consume', 'words', '--count', String(records.length)], { env })
  assert.equal(stdout, 'anna\ta\tb\nno key\n\tno\tkey\nbert\t\n')
  assert.equal((await concord(['produce', 'words', '--key-tab'], { env, input: stdout })).code, 0)
  const text = ({ key, value }: { key: string; value: string }) =>
    [key.length, value.length].map((n) => `${String.fromCharCode(n)}\0\0\0`).join('') + key + value
  assert.deepEqual(sent, [records.map(text).join('')])
  assertFails(
    await concord(['produce', 'words', '--key-tab', '--key', 'k'], { env }),
    2,
    /Cannot combine --key, --key-field, --key-tab and --ndjson/,
  )
})

test('produce --ndjson leaves out the partitions of what consume --json has printed, and says so; --keep-partitions keeps them', async (t) => {
  const record = { key: 'anna', value: 'a', timeMs: 7 }
  const records = [20, 21].map((partition, sequence) => ({
    ...{ stream: 'words', partition, producer: 'a'.repeat(16), sequence },
    ...record,
  }))
  const sent: unknown[][] = []
  const { env } = await gatewayOf(t, ({ method, path, body }, response) => {
    if (path === '/v1/streams') return noStreams
    const lines = body.toString().trim().split('\n')
    if (method === 'POST') sent.push(lines.map((line) => JSON.parse(line)))
    if (method === 'POST') return { status: 200, json: { accepted: records.length } }
    const answer = [{ event: 'ready', hold: false }, ...records]
    return void response.write(answer.map((line) => `${JSON.stringify(line)}\n`).join(''))
  })
  const { stdout } = await concord(['consume', 'words', '--count', '2', '--json'], { env })
  const produce = ['produce', 'words', '--ndjson']
  const ran = await concord(produce, { env, input: stdout })
  assert.equal(ran.stderr.match(/the lines name partitions, which are left out/g)?.length, 1)
  assert.equal((await concord([...produce, '--keep-partitions'], { env, input: stdout })).stderr, '')
  assert.deepEqual(sent, [[record, record], [20, 21].map((partition) => ({ ...record, partition }))])
  assertFails(
    await concord(['produce', 'words', '--keep-partitions'], { env }),
    2,
    /Cannot use --keep-partitions without --ndjson/,
  )
})

test('produce says how many records were accepted, in the singular for one', async (t) => {
  const { env } = await gatewayOf(t, () => ({ status: 200, json: { accepted: 1 } }))
  assert.equal((await concord(['produce', 'words'], { env, input: 'a\n' })).stdout, '1 record accepted.\n')
})

test('produce says so if no function reads the stream, and it is not published raw either', async (t) => {
  const summary = { name: 'words', partitions: 16, raw: false, producers: [], consumers: [] }
  let answer: ReturnType<Script>
  const { env } = await gatewayOf(t, ({ method }) =>
    method === 'POST' ? { status: 200, json: { accepted: 1 } } : answer,
  )
  const said = async (...streams: object[]) => {
    answer = { status: 200, json: { streams } }
    const ran = await concord(['produce', 'words'], { env, input: 'a\n' })
    assert.deepEqual([ran.code, ran.stdout], [0, '1 record accepted.\n'])
    return ran.stderr
  }
  assert.equal(
    await said({ ...summary, name: 'others' }, summary),
    "no function reads 'words': only followers (`concord consume`) got these records\n",
  )
  assert.equal(await said({ ...summary, consumers: ['shout'] }), '')
  assert.equal(await said({ ...summary, raw: true }), '')
  answer = problem(503, 'ERR_BACKEND', 'away')
  assert.equal((await concord(['produce', 'words'], { env, input: 'a\n' })).stderr, '')
})

test('produce that fails says how many records were accepted', async (t) => {
  const { env, received } = await gatewayOf(t, () =>
    received.length === 1
      ? { ...problem(429, 'ERR_STREAM_FULL', 'full', { accepted: 2 }), headers: { 'retry-after': '0' } }
      : problem(400, 'ERR_RECORD_INVALID', 'record 1 is no record', { accepted: 1 }),
  )
  const ran = await concord(['produce', 'words', '--json'], { env, input: 'a\nb\nc\nd\n' })
  assert.equal(ran.code, 6)
  assert.match(ran.stderr, /record 1 is no record \(3 records were accepted\)/)
  assert.deepEqual(lastJson(ran), { accepted: 3, unknown: 0 })
  assertFails(
    await concord(['produce', 'words', '--file', '/nonexistent/x'], { env }),
    4,
    /there is no such file/,
  )
})

test('produce sends what comes before a line that is no record, and says how much', async (t) => {
  const { env, received } = await gatewayOf(t, () => ({ status: 200, json: { accepted: 2 } }))
  const input = '{"value":"a"}\n{"value":"b"}\n{"value":7}\n{"value":"c"}\n'
  const ran = await concord(['produce', 'words', '--ndjson', '--json'], { env, input })
  assert.match(ran.stderr, /line 3: its 'value' is not text in quotes: 7 \(2 records were accepted\)/)
  assert.equal(ran.code, 6)
  assert.deepEqual([lastJson(ran), received.length], [{ accepted: 2, unknown: 0 }, 1])
})

test('produce continues after a request that a gateway broke off, says so once, and exits with 1 if outcomes are unknown', async (t) => {
  let breaks = 2
  const script: Script = ({ body, path }, response) => {
    if (path === '/healthz') return { status: 200, json: { ok: true } }
    if (breaks-- > 0) return void response.destroy()
    return { status: 200, json: { accepted: body.length / 9 } } // each is a prefix of 8 bytes and a letter
  }
  const { env } = await gatewayOf(t, script)
  const ran = await concord(['produce', 'words', '--rate', '20', '--json'], { env, input: 'a\nb\nc\nd\ne\n' })
  assert.deepEqual([lastJson(ran), ran.code], [{ accepted: 3, unknown: 2 }, 1])
  assert.equal(
    ran.stderr.match(/waiting for the gateway, up to 60 s: the connection to \S+ broke/g)?.length,
    1,
  )
  assert.match(ran.stderr, /the gateway is back: continuing\n2 records unknown: a gateway broke off/)

  breaks = 1
  const again = await concord(['produce', 'words', '--at-least-once'], { env, input: 'a\nb\n' })
  assert.deepEqual([again.stdout, again.code], ['2 records accepted.\n', 0])
  assert.match(again.stderr, /2 records of them may have arrived twice/)
})

test('produce that is interrupted says how many records were accepted', async (t) => {
  const { env, received } = await gatewayOf(t, () => {
    if (received.length > 1) {
      child.kill('SIGINT') // the first answer has been read
      return { ...problem(429, 'ERR_STREAM_FULL', 'full', { accepted: 0 }), headers: { 'retry-after': '60' } }
    }
    child.stdin.write('b\n')
    return { status: 200, json: { accepted: 1 } }
  })
  const child = spawn(plainNode, [bin, 'produce', 'words'], { cwd: root, env: { ...process.env, ...env } })
  t.after(() => child.kill('SIGKILL'))
  let said = ''
  child.stderr.on('data', (text) => {
    said += text
  })
  child.stdin.write('a\n')
  assert.deepEqual(await once(child, 'close'), [130, null])
  assert.match(said, /ended by SIGINT: 1 record accepted, not counting a request in flight/)
})
