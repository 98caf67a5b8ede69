import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseCombined } from './combined-log.ts'

const whole =
  '83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a b?q=1 HTTP/1.1" 304 - "http://example.com/" "Mozilla/5.0 (X11)"'

test('parseCombined reads each field', () => {
  assert.deepEqual(parseCombined(whole), {
    client: '83.149.9.216',
    timeMs: Date.UTC(2015, 4, 17, 10, 5, 3),
    method: 'GET',
    path: '/a b?q=1',
    status: 304,
    bytes: 0,
    referrer: 'http://example.com/',
    agent: 'Mozilla/5.0 (X11)',
  })
})

const line = (parts: {
  client?: string
  user?: string
  time?: string
  request?: string
  agent?: string
  tail?: string
}) =>
  `${parts.client ?? 'h'} - ${parts.user ?? '-'} [${parts.time ?? '17/May/2015:10:05:03 +0000'}] ` +
  `"${parts.request ?? 'GET / HTTP/1.1'}" 200 5 "-" "${parts.agent ?? '-'}${parts.tail ?? '"'}`

test('parseCombined takes what real logs hold', () => {
  assert.equal(parseCombined(line({ client: '2001:db8::1' })).client, '2001:db8::1')
  assert.equal(parseCombined(line({ client: 'crawl-66-249.example.com' })).client, 'crawl-66-249.example.com')
  assert.equal(parseCombined(line({ user: 'john [x] doe' })).path, '/')
  assert.equal(
    parseCombined(line({ time: '17/May/2015:10:05:03 +0530' })).timeMs,
    Date.UTC(2015, 4, 17, 4, 35, 3),
  )
  assert.equal(
    parseCombined(line({ time: '31/Dec/2015:23:30:00 -0100' })).timeMs,
    Date.UTC(2016, 0, 1, 0, 30),
  )
  assert.deepEqual(
    [parseCombined(line({ request: '\\x16\\x03\\x01' })), parseCombined(line({ request: '-' }))].map((c) => [
      c.method,
      c.path,
    ]),
    [
      ['', '\\x16\\x03\\x01'],
      ['', ''],
    ],
  )
  assert.equal(parseCombined(line({ agent: 'a \\"quoted\\" \\\\ agent\\\\' })).agent, 'a "quoted" \\ agent\\')
  assert.equal(parseCombined(line({ agent: '' })).agent, '')
  assert.equal(parseCombined(line({ agent: 'cut of', tail: '' })).agent, 'cut of')
  assert.equal(parseCombined(line({ agent: 'nginx', tail: '" "10.0.0.1" rt=0.003' })).agent, 'nginx')
})

test('parseCombined says at which column a line is not a log line, and what it expected', () => {
  const refusals: readonly (readonly [string, RegExp])[] = [
    ['', /column 1: expected a client address, found the end/],
    [' - - [17/May', /column 1: expected a client address/],
    ['10.0.0.1 hello', /column 9: expected a time like \[17\/May\/2015:10:05:03 \+0000\], found " hello"/],
    [
      '10.0.0.1 - - [17/Mai/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
      /column 18: expected a month like May/,
    ],
    [
      '10.0.0.1 - - [17/May/2015:1x:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
      /column 28: expected a time/,
    ],
    [
      '10.0.0.1 - - [17/May/2015:10:05:03 +0000] GET / HTTP/1.1 200 5 "-" "-"',
      /expected a quoted request, found "GET/,
    ],
    [
      '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1',
      /expected a request that ends with a quote/,
    ],
    [
      '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" OK 5 "-" "-"',
      /expected a status of three digits/,
    ],
    [
      '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200  "-" "-"',
      /expected the size of the answer/,
    ],
    [
      '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5',
      /is this the common, not the combined, format/,
    ],
    [
      '10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-"',
      /expected a quoted agent, found the end/,
    ],
  ]
  for (const [text, message] of refusals) {
    assert.throws(
      () => parseCombined(text),
      (error) => error instanceof SyntaxError && message.test(error.message),
      text,
    )
  }
})

test('parseCombined reads back what was written in its format', () => {
  const quoted = fc.string({ unit: 'binary' }).filter((text) => text !== '-')
  const quote = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')
  const timeMs = fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1000)
  fc.assert(
    fc.property(fc.ipV4(), timeMs, fc.nat(), quoted, quoted, (client, timeMs, bytes, referrer, agent) => {
      const utc = new Date(timeMs).toUTCString()
      const stamp = `${utc.slice(5, 7)}/${utc.slice(8, 11)}/${utc.slice(12, 16)}:${utc.slice(17, 25)} +0000`
      const text = `${client} - - [${stamp}] "GET / HTTP/1.1" 200 ${bytes} "${quote(referrer)}" "${quote(agent)}"`
      assert.deepEqual(parseCombined(text), {
        client,
        timeMs,
        method: 'GET',
        path: '/',
        status: 200,
        bytes,
        referrer,
        agent,
      })
    }),
  )
})

test('parseCombined answers any text with a click or a SyntaxError, nothing else', () => {
  const cut = fc
    .tuple(fc.nat(whole.length), fc.nat(whole.length), fc.string())
    .map(([from, to, text]) => whole.slice(0, from) + text + whole.slice(to))
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), cut), (text) => {
      try {
        assert.ok(Number.isFinite(parseCombined(text).timeMs))
      } catch (error) {
        assert.ok(error instanceof SyntaxError)
      }
    }),
    { numRuns: 1_000 },
  )
})
