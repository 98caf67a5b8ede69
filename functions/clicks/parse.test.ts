import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testKit } from 'concord/testkit'
import type { Click } from './click.ts'
import parse from './parse.ts'

const line =
  '83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a.png HTTP/1.1" 200 203023 "http://example.com/" "Mozilla/5.0"'

test('parse sends the click keyed by its client and keeps the time of the record', () => {
  const kit = testKit(parse).send('lines', 'any', line, { timeMs: 1_700_000_000_000 })
  const [sent, ...more] = kit.outputs('clicks')
  assert.equal(more.length, 0)
  assert.equal(sent?.key, '83.149.9.216')
  assert.equal(sent.timeMs, 1_700_000_000_000)
  assert.equal(sent.json<Click>().timeMs, Date.UTC(2015, 4, 17, 10, 5, 3))
})

test('parse turns a line that is no log line into a dead letter and goes on', () => {
  const kit = testKit(parse).send('lines', 'any', 'hello').send('lines', 'any', line)
  assert.equal(kit.outputs('clicks').length, 1)
  assert.equal(kit.errors().length, 1)
  assert.match(
    String(kit.errors()[0]?.error),
    /Cannot read a log line at column 1: expected a client address/,
  )
})
